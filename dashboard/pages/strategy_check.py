"""The check of a strategy's text beside an editor."""

from typing import Any

from django.http import HttpRequest

from dashboard.internal_api import call_api

FACTS = ("name", "inputs", "warnings", "warm_up_bars", "is_trained")


def check_of(request: HttpRequest, text: str) -> dict[str, Any] | None:
    """Return the errors with their places, or the facts about a valid text; None without a text."""
    if not text.strip():
        return None
    response = call_api(request, "POST", "/strategies/validate", {"strategy_yaml": text})
    errors = [
        {"line": problem.line, "place": problem.place, "message": problem.text, "pointer": problem.name}
        for problem in response.problems
    ]
    return {"errors": errors, **{name: response.data.get(name) for name in FACTS}}
