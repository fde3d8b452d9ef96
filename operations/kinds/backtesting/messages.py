"""The stored parameters and the result of a backtest, for the API document and typed clients.

A result may have more fields; one of an older worker may lack those that are not required.
"""

from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict


class BacktestParameters(BaseModel):
    """Costs and sizes as in the request."""

    model_config = ConfigDict(extra="allow")

    symbol: str
    timeframe: str
    model: str | None = None
    strategy_yaml: str | None = None
    reference: str | None = None
    start_date: date | None = None
    end_date: date | None = None
    initial_capital: float
    commission: float
    slippage: float


class BacktestMetrics(BaseModel):
    """Fractions, not percent; a drawdown is negative; null if undefined."""

    model_config = ConfigDict(extra="allow")

    total_return: float | None
    cagr: float | None
    volatility: float | None
    sharpe: float | None
    sharpe_basis: str | None = None
    periods_per_year: float | None
    sortino: float | None
    calmar: float | None
    max_drawdown: float | None
    max_drawdown_bars: int | None
    max_drawdown_seconds: float | None
    exposure: float | None
    turnover: float | None
    trades: int
    win_rate: float | None
    profit_factor: float | None
    expectancy: float | None
    average_trade: float | None
    best_trade: float | None
    worst_trade: float | None
    sqn: float | None
    kelly: float | None
    var_95: float | None
    cvar_95: float | None
    fees: float | None
    slippage_cost: float | None
    initial_capital: float
    final_equity: float
    psr: float | None
    dsr: float | None
    trials: int | None


class BacktestTrials(BaseModel):
    """The trials on the same data, this backtest included."""

    backtests: int
    trainings: int


class BacktestResult(BaseModel):
    model_config = ConfigDict(extra="allow")

    metrics: BacktestMetrics
    settings: dict[str, Any]
    """Every rule in force."""
    benchmark: BacktestMetrics
    """Buy and hold with the same costs."""
    trials: BacktestTrials | None = None
    audit: dict[str, Any]
    warnings: list[dict[str, Any] | str]
    """`code` and `message` of each; text in old results."""
    provenance: dict[str, Any] | None = None
