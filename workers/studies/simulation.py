"""Simulate one trial on all symbols through the engine, and reduce it to daily returns and the records of its trades."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.backtesting.engine import (
    Buffers,
    PreparedBars,
    kernel_rules,
    prepare_bars,
    run_kernel,
    validate_target,
)
from workers.backtesting.engine_rules import Rules
from workers.backtesting.search import drawdown_and_sharpe
from workers.studies.backtest_settings import BacktestSettings
from workers.studies.market import Market

Floats = NDArray[np.float64]
Directions = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class SymbolRun:
    """One symbol of a trial."""

    daily: Floats
    """float64[periods]."""
    trades: NDArray[np.void]
    """`kernel_records.TRADE`[trades]."""
    final_equity: float
    mean_equity: float
    max_drawdown: float
    """Of the equity at each bar; at most 0."""
    turnover: float
    """Notional traded."""
    exposed: int
    """Bars with a position at the close."""
    bars: int


@dataclass(frozen=True, slots=True)
class TrialRun:
    """A trial on all symbols: equal parts of the capital, rebalanced every day."""

    daily: Floats
    """float64[days]."""
    symbols: tuple[SymbolRun, ...]
    initial_capital: float


class Simulator:
    """Runs target directions on the bars of a market; safe to use from several threads."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self._prepared: dict[tuple[object, ...], tuple[PreparedBars, ...]] = {}
        self._lock = threading.Lock()
        self._local = threading.local()

    def run(self, directions: Sequence[Directions], rules: Rules) -> TrialRun:
        """Simulate int8[bars of the period] in {-1, 0, 1} for each symbol. Raises BadBars."""
        prepared, record = self._prepare(rules), kernel_rules(rules)
        runs = tuple(
            self._run_symbol(number, bars, target, record, rules.initial_capital)
            for number, (bars, target) in enumerate(zip(prepared, directions, strict=True))
        )
        daily = self._combine([run.daily for run in runs])
        return TrialRun(daily, runs, rules.initial_capital)

    def returns(self, directions: Sequence[Directions], rules: Rules) -> Floats:
        """Return only the daily returns of `run`, float64[days]. Raises BadBars."""
        prepared, record = self._prepare(rules), kernel_rules(rules)
        return self._combine(
            [
                self._account_of(number, bars, target, record, rules.initial_capital)[1]
                for number, (bars, target) in enumerate(zip(prepared, directions, strict=True))
            ]
        )

    def _prepare(self, rules: Rules) -> tuple[PreparedBars, ...]:
        """Return the bars as the kernel reads them, once for each combination of the rules that change them."""
        key = (rules.slippage, rules.spread, rules.stop_unit, rules.atr_period)
        with self._lock:
            if key not in self._prepared:
                self._prepared[key] = tuple(
                    prepare_bars(bars.test_bars, rules, before=bars.earlier_bars)
                    for bars in self.market.symbols
                )
            return self._prepared[key]

    def _run_symbol(
        self,
        number: int,
        prepared: PreparedBars,
        target: Directions,
        record: NDArray[np.void],
        initial_capital: float,
    ) -> SymbolRun:
        account, daily = self._account_of(number, prepared, target, record, initial_capital)
        buffers = self._buffers(number)
        drawdown, _ = drawdown_and_sharpe(buffers.equity, initial_capital)
        return SymbolRun(
            daily=daily,
            trades=buffers.trades[: account["trades"]].copy(),
            final_equity=float(buffers.equity[-1]),
            mean_equity=float(buffers.equity.mean()),
            max_drawdown=float(drawdown),
            turnover=float(account["turnover"]),
            exposed=int(np.count_nonzero(buffers.position)),
            bars=prepared.close.size,
        )

    def _account_of(
        self,
        number: int,
        prepared: PreparedBars,
        target: Directions,
        record: NDArray[np.void],
        initial_capital: float,
    ) -> tuple[np.void, Floats]:
        """Run the kernel into this thread's buffers; return its account and the daily returns."""
        buffers = self._buffers(number)
        account = run_kernel(prepared, validate_target(target, prepared.close.size), record, buffers)
        return account, self.market.symbols[number].periods.returns(buffers.equity, initial_capital)

    def _buffers(self, number: int) -> Buffers:
        """Return this thread's buffers for a symbol."""
        kept: dict[int, Buffers] = self._local.__dict__.setdefault("buffers", {})
        if number not in kept:
            kept[number] = Buffers.of(len(self.market.symbols[number].test_bars))
        return kept[number]

    def _combine(self, returns: Sequence[Floats]) -> Floats:
        """Return float64[days]: the mean of the symbols' daily returns."""
        if len(returns) == 1:
            return returns[0]
        total = np.zeros(len(self.market.days))
        for daily, place in zip(returns, self.market.place, strict=True):
            total[place] += daily
        return total / len(returns)


def rules_of(settings: BacktestSettings, *, allow_short: bool) -> Rules:
    """Return the engine's rules; `allow_short` is the strategy's own setting, which the settings can only take away."""
    values = {name: getattr(settings, name) for name in BacktestSettings.model_fields}
    may_short = allow_short if settings.allow_short is None else allow_short and settings.allow_short
    return Rules(**values | {"allow_short": may_short})
