"""The chart of a backtest: its bars, predictions, exposure and equity, bar by bar."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from workers.charts.levels import Series
from workers.charts.market import chart_file
from workers.charts.strategy_lines import StrategyLine
from workers.charts.tiles import Floats

CLASSES = ("short", "flat", "long")
_MONEY_DECIMALS, _SHARE_DECIMALS, _RETURN_DECIMALS = 2, 4, 7


def backtest_chart(
    bars: pd.DataFrame,
    timeframe: str,
    calendar: str,
    *,
    equity: Floats,
    benchmark: Floats,
    position: Floats,
    predictions: Floats | None,
    threshold: float | None,
    lines: Sequence[StrategyLine] = (),
) -> bytes:
    """Return the file of the chart.

    `equity`, `benchmark`, `position` (signed quantity): float64[n], at the close of each of the n bars.
    `predictions`: float64[n, 3] probabilities of short, flat and long, or float64[n] forecast returns; None without
    a model. `threshold`: the probability or forecast from which the strategy trades. `lines`: indicators and fuzzy
    sets of the strategy at each bar.
    """
    close = bars["close"].to_numpy(np.float64)
    exposure = np.where(equity > 0.0, position * close / np.where(equity > 0.0, equity, 1.0), 0.0)
    series = {
        "equity": Series(equity, "last", _MONEY_DECIMALS),
        "hold": Series(benchmark, "last", _MONEY_DECIMALS),
        "exposure": Series(exposure, "last", _SHARE_DECIMALS),
    }
    about: dict[str, Any] = {"threshold": threshold, "predictions": None}
    if predictions is not None and predictions.ndim == 2:
        about["predictions"] = "probabilities"
        # Of a longer bar the highest probability, so that none above the threshold is hidden.
        for number, name in enumerate(CLASSES):
            series[name] = Series(predictions[:, number], "highest", _SHARE_DECIMALS)
    elif predictions is not None:
        about["predictions"] = "forecast"
        series["forecast"] = Series(predictions, "last", _RETURN_DECIMALS)
    about["lines"] = [
        {"column": f"line{number}", "group": line.group, "label": line.label, "on_price": line.on_price}
        for number, line in enumerate(lines)
    ]
    series |= {f"line{number}": line.series for number, line in enumerate(lines)}
    return chart_file(bars, timeframe, calendar, series, about)
