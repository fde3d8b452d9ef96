"""Simulate one trial on all symbols through the engine, and reduce it to daily returns and the records of its trades."""

import threading
from collections.abc import Iterator, Sequence
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
from workers.backtesting.equity_passes import returns_of_periods, summarize_account
from workers.studies.backtest_settings import BacktestSettings
from workers.studies.market import Market

Floats = NDArray[np.float64]
Directions = NDArray[np.int8]

KEPT_RECORDS = 1_000


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
        self._records: dict[Rules, NDArray[np.void]] = {}
        self._lock = threading.Lock()
        self._local = threading.local()

    def run(self, directions: Sequence[Directions], rules: Rules) -> TrialRun:
        """Simulate int8[bars of the period] in {-1, 0, 1} for each symbol. Raises BadBars."""
        runs = tuple(
            self._symbol_run(number, account, daily, rules.initial_capital)
            for number, account, daily in self._simulate(directions, rules)
        )
        daily = self._combine([run.daily for run in runs])
        return TrialRun(daily, runs, rules.initial_capital)

    def returns(self, directions: Sequence[Directions], rules: Rules) -> Floats:
        """Return only the daily returns of `run`, float64[days]. Raises BadBars."""
        return self._combine([daily for _, _, daily in self._simulate(directions, rules)])

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

    def _record_of(self, rules: Rules) -> NDArray[np.void]:
        """Return the rules as the kernel reads them; those of the last trials are kept."""
        record = self._records.get(rules)
        if record is None:
            record = kernel_rules(rules)
            with self._lock:
                if len(self._records) >= KEPT_RECORDS:
                    self._records.clear()
                self._records[rules] = record
        return record

    def _simulate(
        self, directions: Sequence[Directions], rules: Rules
    ) -> Iterator[tuple[int, np.void, Floats]]:
        """Run the kernel into this thread's buffers; yield each symbol's number, account and daily returns."""
        prepared, record = self._prepare(rules), self._record_of(rules)
        for number, (bars, target) in enumerate(zip(prepared, directions, strict=True)):
            buffers = self._buffers(number)
            account = run_kernel(bars, validate_target(target, bars.close.size), record, buffers)
            yield (
                number,
                account,
                returns_of_periods(
                    buffers.equity, self.market.symbols[number].periods.ends, rules.initial_capital
                ),
            )

    def _symbol_run(self, number: int, account: np.void, daily: Floats, initial_capital: float) -> SymbolRun:
        buffers = self._buffers(number)
        figures = summarize_account(buffers.equity, buffers.position, initial_capital)
        return SymbolRun(
            daily=daily,
            trades=buffers.trades[: account["trades"]].copy(),
            final_equity=float(buffers.equity[-1]),
            mean_equity=float(figures.mean),
            max_drawdown=float(figures.deepest),
            turnover=float(account["turnover"]),
            exposed=int(figures.exposed),
            bars=buffers.equity.size,
        )

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
