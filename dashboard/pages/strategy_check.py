"""The check of a strategy's text beside an editor."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest

from dashboard.internal_api import ApiResponse, call_api

FACTS = ("name", "inputs", "warnings", "warm_up_bars", "is_trained")


def check_of(request: HttpRequest, text: str) -> dict[str, Any] | None:
    """Return the errors with their places, or the facts about a valid text; None without a text."""
    if not text.strip():
        return None
    response = call_api(request, "POST", "/strategies/validate", {"strategy_yaml": text})
    return check_of_response(response, [""] * len(response.problems))


def check_of_response(response: ApiResponse, anchors: Sequence[str]) -> dict[str, Any]:
    """Describe the response of the check; each error may lead to an element of the page, otherwise to its line."""
    errors = [
        {
            "line": problem.line,
            "place": problem.place,
            "message": problem.text,
            "pointer": problem.name,
            "anchor": anchor,
        }
        for problem, anchor in zip(response.problems, anchors, strict=True)
    ]
    return {"errors": errors, **{name: response.data.get(name) for name in FACTS}}
