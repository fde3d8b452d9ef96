"""Bodies of requests from Python values."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from ktrdr_client.files import read_text


def given(**fields: Any) -> dict[str, Any]:
    """Return the fields that are given; a date becomes text."""
    return {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in fields.items()
        if value is not None
    }


def submission(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an operation with the text of its strategy, which may be a file. Raises OSError."""
    body = given(**fields)
    return {**body, "strategy_yaml": read_text(body["strategy_yaml"])} if "strategy_yaml" in body else body
