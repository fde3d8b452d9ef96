"""The parameters of a backtest operation."""

from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from workers.backtesting.engine_rules import Fill, Rules, Sizing, StopUnit


class BacktestParameters(BaseModel):
    """Costs and sizes as in `Rules`; dates are UTC days, both included."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    symbol: str = Field(min_length=1, max_length=64)
    timeframe: str | None = None
    """Only checked: it has to be the strategy's base timeframe."""
    strategy_yaml: str | None = Field(default=None, max_length=1_000_000)
    """Defaults to the model's own strategy, from which only the decisions may differ."""
    model: str | None = None
    """The training operation, for information: its files are inputs of the job."""
    reference: str | None = Field(default=None, min_length=1, max_length=64)
    """Symbol whose bars the returns are also compared with; alpha and beta against them are in the report."""
    start_date: date | None = None
    end_date: date | None = None
    initial_capital: float = Field(default=100_000.0, gt=0)
    commission: float = Field(default=0.001, ge=0, le=0.5)
    slippage: float = Field(default=0.0005, ge=0, le=0.5)
    spread: float | None = Field(default=None, ge=0, le=0.5)
    """Defaults to the spread in the data, bar by bar, or 0 if the data contain none."""
    fill: Fill = "next_open"
    sizing: Sizing = "fraction"
    size: float = Field(default=1.0, gt=0)
    allow_short: bool | None = None
    """Defaults to the strategy's own setting; it cannot allow what the strategy forbids."""
    stop_loss: float | None = Field(default=None, gt=0)
    take_profit: float | None = Field(default=None, gt=0)
    trailing_stop: float | None = Field(default=None, gt=0)
    stop_unit: StopUnit = "fraction"
    atr_period: int = Field(default=14, ge=1, le=5000)
    quantity_step: float = Field(default=0.0, ge=0)
    minimum_quantity: float = Field(default=0.0, ge=0)
    max_leverage: float = Field(default=1.0, gt=0)
    seed: int = Field(default=42, ge=0, le=2**63 - 1)
    """Seed of the bootstrap."""
    trials: int = Field(default=1, ge=1)
    """Number of trials on this data so far, for the deflated Sharpe ratio."""
    training_trials: int = Field(default=0, ge=0)
    """Those of `trials` that are trainings, whose test figures were seen."""
    trial_sharpes: list[float] = Field(default_factory=list, max_length=100_000)
    """Sharpe ratios per observation (not annualised) of the other trials, as far as they are known: their variance
    replaces the one that strategies without skill would have."""

    def rules(self, *, allow_short: bool) -> Rules:
        """Return the engine's rules. Raises BadRules."""
        same = {
            name: getattr(self, name)
            for name in (
                "initial_capital", "commission", "slippage", "spread", "fill", "sizing", "size", "stop_loss",
                "take_profit", "trailing_stop", "stop_unit", "atr_period", "quantity_step", "minimum_quantity",
                "max_leverage",
            )
        }  # fmt: skip
        return Rules(**same, allow_short=allow_short)
