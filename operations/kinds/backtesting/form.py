"""The form of a backtest."""

from operations.kinds.backtesting.request import BacktestRequest
from operations.presentation.forms import Field, Fold, Form, date_fields, field_of, queueing_fields


def _costs() -> tuple[Field, ...]:
    return (
        field_of(BacktestRequest, "commission", "Commission", "Fraction of the notional, each way."),
        field_of(BacktestRequest, "slippage", "Slippage", "Fraction of the price, against us."),
        field_of(
            BacktestRequest,
            "spread",
            "Spread",
            "Fraction of the price; half of it is paid each way. Empty: the data's own, where they have one.",
        ),
        field_of(
            BacktestRequest, "fill", "Fill", "Decided at a bar's close; filled then or at the next bar."
        ),
        field_of(BacktestRequest, "sizing", "Sizing"),
        field_of(BacktestRequest, "size", "Size", "Fraction of the equity, or units."),
        field_of(
            BacktestRequest, "stop_loss", "Stop loss", "Distance from the entry price; 0.05 is 5 % of it."
        ),
        field_of(BacktestRequest, "take_profit", "Take profit", "Distance from the entry price."),
        field_of(
            BacktestRequest, "trailing_stop", "Trailing stop", "Distance from the best price since entry."
        ),
        field_of(BacktestRequest, "allow_short", "Allow short positions"),
        *queueing_fields(BacktestRequest),
    )


def _advanced() -> tuple[Field, ...]:
    return (
        field_of(BacktestRequest, "stop_unit", "Stops in", "Fractions of the price, or average true ranges."),
        field_of(BacktestRequest, "atr_period", "Bars of the average true range", "Where stops are in it."),
        field_of(
            BacktestRequest, "quantity_step", "Quantity step", "Quantities are cut to a multiple; 0: any."
        ),
        field_of(BacktestRequest, "minimum_quantity", "Least quantity", "Smaller orders are refused."),
        field_of(
            BacktestRequest,
            "max_leverage",
            "Greatest leverage",
            "Notional over equity; larger orders are cut, and a larger size is refused.",
        ),
        field_of(BacktestRequest, "seed", "Seed", "Of the bootstrap that gives the ranges of confidence."),
    )


FORM = Form(
    title="New backtest",
    api_path="/backtests/start",
    submit_text="Start backtest",
    main=(
        field_of(
            BacktestRequest, "model", "Trained model", "Id of a completed training; its strategy is used."
        ),
        field_of(BacktestRequest, "strategy_yaml", "Strategy", kind="strategy"),
        field_of(BacktestRequest, "symbol", "Symbol"),
        field_of(BacktestRequest, "timeframe", "Timeframe", "Empty: that of the strategy."),
        *date_fields(BacktestRequest),
        field_of(BacktestRequest, "initial_capital", "Initial capital"),
    ),
    folds=(Fold("Costs, fills, stops and queue", _costs()), Fold("Advanced", _advanced())),
)
