"""The live preview beside the editor: what a worker computed, as small charts and tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from dashboard.internal_api import call_api

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
    """Why there is none; `is_invalid` if the check beside the editor explains it; `is_waiting` for a worker."""

    reason: str
    is_invalid: bool = False
    is_waiting: bool = False


def preview_of(request: HttpRequest, text: str, symbol: str) -> Preview | NoPreview:
    """Ask a worker through the API."""
    if not text.strip():
        return NoPreview("Enter a strategy to see its preview.")
    body = {"strategy_yaml": text.replace("\r\n", "\n")} | ({"symbol": symbol} if symbol else {})
    response = call_api(request, "POST", "/strategies/preview", body)
    if response.status == 503:
        return NoPreview("No worker is free. The preview appears when one is idle.", is_waiting=True)
    if response.status == 202:
        return NoPreview("The preview takes long; change the text to start it again.")
    if not response.is_success:
        problems = response.problems
        return NoPreview(problems[0].text, any(problem.line for problem in problems))
    data = response.data
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
