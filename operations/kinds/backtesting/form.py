"""The form of a backtest."""

from operations.kinds.backtesting.request import BacktestRequest
from operations.presentation.forms import Field, Fold, Form, date_fields, field_of, queueing_fields


def _cost_fields() -> tuple[Field, ...]:
    return (
        field_of(
            BacktestRequest,
            "commission",
            "Commission",
            "Fraction of the traded value, for entry and exit each.",
        ),
        field_of(
            BacktestRequest, "slippage", "Slippage", "Fraction of the price, against you, at every fill."
        ),
        field_of(
            BacktestRequest,
            "spread",
            "Spread",
            "Fraction of the price, half paid at each fill. If empty, the spread in the data, bar by bar, if any.",
        ),
        field_of(
            BacktestRequest,
            "fill",
            "Fill",
            "Decisions are made at a bar's close and filled there or at the next bar.",
        ),
        field_of(BacktestRequest, "sizing", "Sizing"),
        field_of(BacktestRequest, "size", "Size", "Fraction of the equity, or number of units."),
        field_of(BacktestRequest, "stop_loss", "Stop loss", "Distance from the entry price; 0.05 is 5 %."),
        field_of(BacktestRequest, "take_profit", "Take profit", "Distance from the entry price."),
        field_of(
            BacktestRequest, "trailing_stop", "Trailing stop", "Distance from the best price since entry."
        ),
        field_of(
            BacktestRequest,
            "allow_short",
            "Allow short positions",
            "Automatic: as the strategy says. It can forbid what the strategy allows, not more.",
        ),
        *queueing_fields(BacktestRequest),
    )


def _advanced_fields() -> tuple[Field, ...]:
    return (
        field_of(
            BacktestRequest,
            "stop_unit",
            "Stops in",
            "Fractions of the price, or multiples of the average true range (ATR).",
        ),
        field_of(BacktestRequest, "atr_period", "ATR period", "Number of bars; only for stops in ATR."),
        field_of(
            BacktestRequest,
            "quantity_step",
            "Quantity step",
            "Quantities are rounded down to a multiple; 0 allows any.",
        ),
        field_of(BacktestRequest, "minimum_quantity", "Minimum quantity", "Smaller orders are rejected."),
        field_of(
            BacktestRequest,
            "max_leverage",
            "Maximum leverage",
            "Position value over equity. Larger orders are reduced; a larger size is rejected. If equity reaches zero "
            "inside a bar, the position is liquidated at the bar's worst price.",
        ),
        field_of(BacktestRequest, "seed", "Seed", "Seed of the bootstrap used for confidence intervals."),
    )


FORM = Form(
    title="New backtest",
    api_path="/backtests/start",
    submit_text="Start backtest",
    main=(
        field_of(
            BacktestRequest,
            "model",
            "Trained model",
            "Id of a completed training; its strategy is used. Leave it empty for a rules strategy.",
        ),
        field_of(
            BacktestRequest,
            "strategy_yaml",
            "Strategy",
            "A rules strategy; with a model, its own strategy with other decisions.",
            kind="strategy",
        ),
        field_of(BacktestRequest, "symbol", "Symbol"),
        field_of(BacktestRequest, "timeframe", "Timeframe", "Defaults to the strategy's timeframe."),
        *date_fields(BacktestRequest),
        field_of(BacktestRequest, "initial_capital", "Initial capital"),
        field_of(
            BacktestRequest,
            "reference",
            "Compare with",
            "Symbol of imported bars; the result has alpha and beta against them, beside buy and hold.",
        ),
    ),
    folds=(Fold("Costs, fills, stops and queue", _cost_fields()), Fold("Advanced", _advanced_fields())),
)
