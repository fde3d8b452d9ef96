"""The metrics of a trial, over all days or fold by fold, and the objective's value."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from workers.backtesting import metrics
from workers.backtesting.kernel_records import TRADE
from workers.studies.market import Market
from workers.studies.sections import Objective
from workers.studies.simulation import TrialRun

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

DEFAULT_SCORES = ("sharpe", "total_return", "max_drawdown", "trades")


@dataclass(frozen=True)
class Measured:
    """A trial, or a part of its days, as the metrics read it."""

    daily: Floats
    """float64[days]."""
    per_year: float
    years: float
    """Calendar time of the days."""
    growth: float
    """Final over initial equity."""
    drawdown: float
    trades: NDArray[np.void]
    """`kernel_records.TRADE`, the open one included."""
    exposure: float
    turnover: float

    @cached_property
    def pnl(self) -> Floats:
        """Of the closed trades."""
        closed: Floats = self.trades["pnl"][self.trades["exit_index"] >= 0]
        return closed


def measure(run: TrialRun, market: Market) -> Measured:
    """Measure all days. One symbol has the figures of its backtest; several have those of the daily portfolio."""
    bars = sum(symbol.bars for symbol in run.symbols)
    exposure = sum(symbol.exposed for symbol in run.symbols) / bars
    turnovers = [s.turnover / s.mean_equity if s.mean_equity > 0 else math.nan for s in run.symbols]
    if len(run.symbols) == 1:
        only = run.symbols[0]
        growth, drawdown = only.final_equity / run.initial_capital, only.max_drawdown
        trades, turnover = only.trades, turnovers[0]
    else:
        growth, drawdown = _grow(run.daily)
        trades = np.concatenate([symbol.trades for symbol in run.symbols])
        turnover = float(np.mean(turnovers))
    return Measured(run.daily, market.per_year, market.years, growth, drawdown, trades, exposure, turnover)


def measure_days(run: TrialRun, days: Flags, market: Market) -> Measured:
    """Measure the days `days` (bool[days]), joined together; a trade belongs to the day of its entry."""
    daily = run.daily[days]
    growth, drawdown = _grow(daily)
    parts = [
        symbol.trades[days[of_bar[symbol.trades["entry_index"]]]]
        for symbol, of_bar in zip(run.symbols, market.day_of_bar, strict=bool(run.symbols))
    ]
    trades = np.concatenate(parts) if parts else np.empty(0, TRADE)
    years = len(daily) / market.per_year
    return Measured(daily, market.per_year, years, growth, drawdown, trades, math.nan, math.nan)


def _grow(daily: Floats) -> tuple[float, float]:
    """Return (final over initial equity, deepest fall from a peak) of daily returns."""
    curve = np.concatenate(([1.0], np.cumprod(1.0 + daily)))
    return float(curve[-1]), float((curve / np.maximum.accumulate(curve) - 1.0).min())


def _annual(ratio: float | None, per_year: float) -> float | None:
    return None if ratio is None else ratio * math.sqrt(per_year)


def _calmar(part: Measured) -> float | None:
    growth = metrics.cagr(1.0, part.growth, part.years)
    return growth / abs(part.drawdown) if growth is not None and part.drawdown < 0 else None


def _profit_factor(part: Measured) -> float | None:
    losses = float(-part.pnl[part.pnl < 0].sum())
    return float(part.pnl[part.pnl > 0].sum()) / losses if losses > 0 else None


def _sqn(part: Measured) -> float | None:
    deviation = float(part.pnl.std(ddof=1)) if len(part.pnl) > 1 else 0.0
    return math.sqrt(len(part.pnl)) * float(part.pnl.mean()) / deviation if deviation > 0 else None


METRICS: Mapping[str, Callable[[Measured], float | None]] = {
    "sharpe": lambda part: _annual(metrics.sharpe(part.daily), part.per_year),
    "sortino": lambda part: _annual(metrics.sortino(part.daily), part.per_year),
    "calmar": _calmar,
    "total_return": lambda part: part.growth - 1.0,
    "cagr": lambda part: metrics.cagr(1.0, part.growth, part.years),
    "max_drawdown": lambda part: part.drawdown,
    "profit_factor": _profit_factor,
    "sqn": _sqn,
    "expectancy": lambda part: float(part.pnl.mean()) if len(part.pnl) else None,
    "win_rate": lambda part: float((part.pnl > 0).mean()) if len(part.pnl) else None,
    "trades": lambda part: float(len(part.trades)),
    "exposure": lambda part: part.exposure,
    "turnover": lambda part: part.turnover,
}
"""Units and signs as in a backtest's result."""


def score(part: Measured, name: str) -> float | None:
    """Return a metric; None where it is undefined."""
    value = METRICS[name](part)
    return value if value is not None and math.isfinite(value) else None


def score_names(objective: Objective) -> tuple[str, ...]:
    """Return the metrics that are stored of every trial."""
    return tuple(dict.fromkeys((*DEFAULT_SCORES, objective.metric, *objective.at_least)))


def objective_value(
    objective: Objective, scores: Mapping[str, float | None], of_folds: Sequence[float | None]
) -> float | None:
    """Return the value of a trial; None if it is undefined, or a figure is below `at_least`.

    `of_folds`: the objective's metric in each fold; empty without folds. The value is their mean minus
    `objective.deviations` standard deviations (plus, for a metric to minimise). A fold without a figure counts as 0.
    """
    for name, least in objective.at_least.items():
        value = scores[name]
        if value is None or value < least:
            return None
    if not of_folds:
        return scores[objective.metric]
    if all(value is None for value in of_folds):
        return None
    values = np.array([0.0 if value is None else value for value in of_folds])
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    sign = 1.0 if objective.maximize else -1.0
    return float(values.mean()) - sign * objective.deviations * spread
