"""The chart of a backtest for the script of a page: its tiles, its panes, and where its trades are."""

from collections.abc import Mapping
from typing import Any

from django.urls import reverse

from operations.models import Operation, StoredFile
from operations.presentation import stored_charts
from operations.presentation.trades.stored import CHART

_PROBABILITIES = {
    "name": "Probabilities",
    "format": "percent",
    "series": [
        {"column": "long", "label": "long", "tone": "good"},
        {"column": "short", "label": "short", "tone": "bad", "dashed": True},
        {"column": "flat", "label": "flat", "tone": "muted", "faint": True},
    ],
}
_FORECAST = {"name": "Forecast", "format": "return", "series": [{"column": "forecast", "label": "forecast"}]}
_EXPOSURE = {
    "name": "Exposure",
    "format": "percent",
    "series": [{"column": "exposure", "label": "exposure", "tone": "series-4", "step": True}],
}
_EQUITY = {
    "name": "Equity",
    "format": "money",
    "series": [
        {"column": "equity", "label": "equity", "tone": "series-1"},
        {"column": "hold", "label": "buy and hold", "tone": "series-2", "dashed": True},
    ],
}


def chart_context(operation: Operation, files: Mapping[str, StoredFile]) -> dict[str, Any]:
    """Return the context of `trades/chart.html`, or in `chart_missing` why there is no chart."""
    try:
        return {"bar_chart": chart_script(operation, files)}
    except stored_charts.ChartUnavailableError as error:
        return {"bar_chart": None, "chart_missing": str(error)}


def chart_script(operation: Operation, files: Mapping[str, StoredFile]) -> dict[str, Any] | None:
    """Return what the script draws; None for results that were stored before charts existed.

    `files`: those of the operation by name. Raises ChartUnavailableError.
    """
    if CHART not in files:
        return None
    stored = stored_charts.read(files[CHART].sha256)
    return {
        **stored.for_script,
        "url": f"/operations/{operation.pk}/artifacts/{CHART}",
        "shows_all": True,
        "panes": _panes(stored.index),
        "line_groups": _line_groups(stored.index.get("lines") or []),
        "trades_url": reverse("dashboard:trades_drawn", args=[operation.pk]),
    }


def _line_groups(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the strategy's indicators and fuzzy sets by group; one group is drawn at a time."""
    groups: dict[str, dict[str, Any]] = {}
    for line in lines:
        group = groups.setdefault(
            line["group"], {"name": line["group"], "on_price": line["on_price"], "series": []}
        )
        group["series"].append({"column": line["column"], "label": line["label"]})
    return list(groups.values())


def _panes(index: dict[str, Any]) -> list[dict[str, Any]]:
    threshold = index.get("threshold")
    match index.get("predictions"):
        case "probabilities":
            return [{**_PROBABILITIES, "levels": _levels(threshold)}, _EXPOSURE, _EQUITY]
        case "forecast":
            both = [*_levels(threshold), *_levels(-threshold if threshold else None)]
            return [{**_FORECAST, "levels": both}, _EXPOSURE, _EQUITY]
        case _:
            return [_EXPOSURE, _EQUITY]


def _levels(value: float | None) -> list[dict[str, Any]]:
    return [] if not value else [{"value": value, "label": "threshold"}]
