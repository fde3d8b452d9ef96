"""The live preview beside the editor: what a worker computed, as small charts and tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.http import HttpRequest
from django.utils import timezone

from dashboard.internal_api import call_api, with_times
from operations.registered_kinds import kind_of
from operations.states import FINAL, Status

PATH = "/strategies/preview"
LONGEST_S = 120
"""How long a page asks for the end of a preview."""
STILL_COMPUTED = "The preview is still being computed. It appears here automatically."
Line = tuple[str, Sequence[float | None]]
"""Name and values."""
MAX_TOGETHER = 4
"""Lines of one chart, as many as the theme has colours for."""


@dataclass(frozen=True, slots=True)
class Preview:
    data: dict[str, Any]
    price: list[Line]
    """The close, and the indicators in its range."""
    others: list[Line]
    fuzzy: list[tuple[str, list[Line]]]


@dataclass(frozen=True, slots=True)
class NoPreview:
    """Why there is none; `is_invalid` if the check beside the editor explains it.

    While `is_waiting` the page asks again: for the end of `operation_id`, or without one for a free worker.
    """

    reason: str
    is_invalid: bool = False
    is_waiting: bool = False
    operation_id: str = ""


def preview_of(request: HttpRequest, text: str, symbol: str, replaces: str = "") -> Preview | NoPreview:
    """Ask a worker through the API, instead of the preview `replaces` that the page still waits for."""
    if not text.strip():
        return NoPreview("Enter a strategy to see its preview.")
    given = {"strategy_yaml": text.replace("\r\n", "\n"), "symbol": symbol, "replaces": replaces[:128]}
    body = {name: value for name, value in given.items() if value}
    response = call_api(request, "POST", PATH, body)
    if response.status == 503:
        return NoPreview("No worker is free. The preview appears when one is idle.", is_waiting=True)
    if response.status == 202:
        return NoPreview(STILL_COMPUTED, is_waiting=True, operation_id=response.data["operation_id"])
    if not response.is_success:
        problems = response.problems
        return NoPreview(problems[0].text, any(problem.line for problem in problems))
    return _draw(response.data)


def preview_of_operation(request: HttpRequest, operation_id: str) -> Preview | NoPreview:
    """Return the preview that an earlier request submitted, without waiting for it."""
    response = call_api(request, "GET", f"/operations/{quote(operation_id, safe='')}")
    if not response.is_success or kind_of(response.data["operation_type"]).submit_path != PATH:
        return NoPreview("The preview no longer exists. Change the text to start it again.")
    operation = with_times(response.data)
    if operation["status"] not in FINAL:
        if (timezone.now() - operation["created_at"]).total_seconds() > LONGEST_S:
            return NoPreview(f"The preview takes over {LONGEST_S} s. Change the text to start it again.")
        return NoPreview(STILL_COMPUTED, is_waiting=True, operation_id=operation_id)
    if operation["status"] != Status.COMPLETED:
        reason = (operation["error"] or {}).get("message") or "it was cancelled"
        return NoPreview(f"The preview failed: {reason}")
    result = operation["result"] or {}
    return _draw(result) if result.get("valid") else NoPreview(str(result.get("error", "")))


def _draw(data: dict[str, Any]) -> Preview:
    lines: list[Line] = [(line["name"], line["values"]) for line in data["indicators"]]
    near = [line for line in lines if _is_near(line[1], data["close"])][: MAX_TOGETHER - 1]
    fuzzy = [
        (chart["name"], [(member["name"], member["values"]) for member in chart["members"]])
        for chart in data["fuzzy"]
    ]
    others = [line for line in lines if line not in near]
    return Preview(data, [("close", data["close"]), *near], others, fuzzy)


def _is_near(values: Sequence[float | None], close: Sequence[float]) -> bool:
    """Return whether a line can be drawn over the price."""
    present = [value for value in values if value is not None]
    low, high = min(close), max(close)
    margin = 0.3 * (high - low)
    return bool(present) and low - margin <= min(present) and max(present) <= high + margin
