"""Build the parts of a report one by one: a part that cannot be built is left out, and the others are kept."""

import json
from collections.abc import Callable, Mapping
from typing import Any

Part = Callable[[], Mapping[str, Any]]
"""Returns keys of the report and their values."""


def build_parts(parts: Mapping[str, Part]) -> tuple[dict[str, Any], dict[str, Exception]]:
    """Return the report of all parts that can be built as JSON, and the error of each of the others by its name."""
    report: dict[str, Any] = {}
    errors: dict[str, Exception] = {}
    for name, build in parts.items():
        try:
            values = dict(build())
            json.dumps(values, allow_nan=False)
        except Exception as error:
            errors[name] = error
        else:
            report |= values
    return report, errors


def missing_parts_warnings(errors: Mapping[str, Exception], unaffected: str) -> list[dict[str, str]]:
    """Return a warning of a result for each part that its report lacks."""
    return [
        {
            "code": "incomplete_report",
            "message": f"The report lacks {name} ({type(error).__name__}: {error}); {unaffected} not affected.",
        }
        for name, error in errors.items()
    ]
