"""The submit forms: which fields, how they are typed, and the JSON body that the API is sent.

Kinds, defaults and choices are those of the models that the API checks its input with; only labels are written here. A form keeps what was typed as text and validates nothing itself: the API's answer, with its pointers, is what stands
beside the fields. So the form can never allow what the API refuses, or refuse what it allows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel

from operations.requests import BacktestRequest, ImportRequest, TrainingRequest

Kind = Literal["text", "number", "date", "choice", "check", "list", "strategy", "file"]


@dataclass(frozen=True, slots=True)
class Field:
    """One input; `value` is first the API's default, then what was typed."""

    name: str
    kind: Kind
    label: str
    value: str = ""
    help: str = ""
    choices: tuple[str, ...] = ()
    is_required: bool = False
    errors: tuple[str, ...] = ()
    suggestions: tuple[tuple[str, str], ...] = ()
    """value, and what stands beside it"""

    @property
    def is_checked(self) -> bool:
        return self.value == "true"


@dataclass(frozen=True, slots=True)
class Fold:
    """Fields that stay folded under their title."""

    title: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of operation as a form: what is asked first, and what stays folded."""

    title: str
    operation_type: str
    api_path: str
    submit_text: str
    main: tuple[Field, ...]
    folds: tuple[Fold, ...] = ()

    @property
    def fields(self) -> tuple[Field, ...]:
        return (*self.main, *(one for fold in self.folds for one in fold.fields))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _field(model: type[BaseModel], name: str, label: str, hint: str = "", kind: Kind | None = None) -> Field:
    """As the model has it: kind, default, choices, and whether it must be there."""
    schema = model.model_json_schema()
    found = schema["properties"][name]
    shape = next(one for one in found.get("anyOf", [found]) if one.get("type") != "null")
    default = found.get("default")
    return Field(
        name=name,
        kind=kind or _kind(shape),
        label=label,
        value="" if default is None else _text(default),
        help=hint,
        choices=tuple(shape.get("enum", ())),
        is_required=name in schema.get("required", ()),
    )


def _kind(shape: Mapping[str, Any]) -> Kind:
    if "enum" in shape:
        return "choice"
    if shape.get("format") == "date":
        return "date"
    kinds: dict[Any, Kind] = {"boolean": "check", "array": "list", "integer": "number", "number": "number"}
    return kinds.get(shape.get("type"), "text")


def _queueing(model: type[BaseModel]) -> tuple[Field, ...]:
    return (
        _field(model, "priority", "Priority", "Higher goes first."),
        _field(model, "queue", "Wait in the queue if no worker is free"),
        _field(model, "after", "After", "Ids of operations that must complete first."),
    )


def _dates(model: type[BaseModel]) -> tuple[Field, ...]:
    return _field(model, "start_date", "From"), _field(model, "end_date", "To")


def _costs() -> tuple[Field, ...]:
    return (
        _field(BacktestRequest, "commission", "Commission", "Fraction of the notional, each way."),
        _field(BacktestRequest, "slippage", "Slippage", "Fraction of the price, against us."),
        _field(
            BacktestRequest,
            "spread",
            "Spread",
            "Fraction of the price; half of it is paid each way. Empty: the data's own, where they have one.",
        ),
        _field(BacktestRequest, "fill", "Fill", "Decided at a bar's close; filled then or at the next bar."),
        _field(BacktestRequest, "sizing", "Sizing"),
        _field(BacktestRequest, "size", "Size", "Fraction of the equity, or units."),
        _field(
            BacktestRequest, "stop_loss", "Stop loss", "Distance from the entry price; 0.05 is 5 % of it."
        ),
        _field(BacktestRequest, "take_profit", "Take profit", "Distance from the entry price."),
        _field(
            BacktestRequest, "trailing_stop", "Trailing stop", "Distance from the best price since entry."
        ),
        _field(BacktestRequest, "allow_short", "Allow short positions"),
        *_queueing(BacktestRequest),
    )


def _advanced() -> tuple[Field, ...]:
    return (
        _field(BacktestRequest, "stop_unit", "Stops in", "Fractions of the price, or average true ranges."),
        _field(BacktestRequest, "atr_period", "Bars of the average true range", "Where stops are in it."),
        _field(
            BacktestRequest, "quantity_step", "Quantity step", "Quantities are cut to a multiple; 0: any."
        ),
        _field(BacktestRequest, "minimum_quantity", "Least quantity", "Smaller orders are refused."),
        _field(
            BacktestRequest,
            "max_leverage",
            "Greatest leverage",
            "Notional over equity; larger orders are cut, and a larger size is refused.",
        ),
        _field(BacktestRequest, "seed", "Seed", "Of the bootstrap that gives the ranges of confidence."),
    )


TRAINING = Form(
    title="New training",
    operation_type="training",
    api_path="/training/start",
    submit_text="Start training",
    main=(
        _field(TrainingRequest, "strategy_yaml", "Strategy", kind="strategy"),
        _field(TrainingRequest, "symbols", "Symbols", "Separated by spaces. Empty: those of the strategy."),
        _field(
            TrainingRequest, "timeframes", "Timeframes", "Separated by spaces. Empty: those of the strategy."
        ),
        *_dates(TrainingRequest),
    ),
    folds=(
        Fold(
            "Seed, device and queue",
            (
                _field(TrainingRequest, "seed", "Seed", "The same seed gives the same model."),
                _field(TrainingRequest, "device", "Device", "auto: the best that the worker has."),
                _field(TrainingRequest, "prefer_gpu", "Prefer a GPU"),
                *_queueing(TrainingRequest),
            ),
        ),
    ),
)
BACKTEST = Form(
    title="New backtest",
    operation_type="backtesting",
    api_path="/backtests/start",
    submit_text="Start backtest",
    main=(
        _field(
            BacktestRequest, "model", "Trained model", "Id of a completed training; its strategy is used."
        ),
        _field(BacktestRequest, "strategy_yaml", "Strategy", kind="strategy"),
        _field(BacktestRequest, "symbol", "Symbol"),
        _field(BacktestRequest, "timeframe", "Timeframe", "Empty: that of the strategy."),
        *_dates(BacktestRequest),
        _field(BacktestRequest, "initial_capital", "Initial capital"),
    ),
    folds=(Fold("Costs, fills, stops and queue", _costs()), Fold("Advanced", _advanced())),
)
IMPORT = Form(
    title="Import market data",
    operation_type="data_import",
    api_path="/market-data",
    submit_text="Import",
    main=(
        Field("file", "file", "File", help="CSV (Yahoo, MetaTrader, Stooq, histdata) or Parquet.", is_required=True),
        _field(ImportRequest, "symbol", "Symbol"),
        _field(ImportRequest, "timeframe", "Timeframe"),
        _field(ImportRequest, "timezone", "Time zone", "Of the file's times; empty: UTC. Example: America/New_York"),
        _field(ImportRequest, "adjust", "Apply the adjusted close to open, high, low and close"),
    ),
    folds=(Fold("Queue", (_field(ImportRequest, "priority", "Priority", "Higher goes first."),)),),
)  # fmt: skip
MODELS: dict[str, tuple[Form, type[BaseModel]]] = {
    "training": (TRAINING, TrainingRequest),
    "backtest": (BACKTEST, BacktestRequest),
    "import": (IMPORT, ImportRequest),
}


def filled(
    fields: Iterable[Field],
    typed: Mapping[str, str],
    problems: Mapping[str, list[str]],
    suggestions: Mapping[str, list[tuple[str, str]]],
) -> list[Field]:
    """The fields with what was typed, what is wrong with it, and what one could type."""
    return [
        replace(
            one,
            value=typed.get(one.name, one.value),
            errors=tuple(problems.get(one.name, ())),
            suggestions=tuple(suggestions.get(one.name, ())),
        )
        for one in fields
    ]


def body_of(form: Form, typed: Mapping[str, str]) -> dict[str, Any]:
    """What the API is sent. What was left empty, or as it was, is left out: the API's own defaults count."""
    body: dict[str, Any] = {}
    for one in form.fields:
        text = typed.get(one.name, one.value).replace("\r\n", "\n")
        text = text if one.kind == "strategy" else text.strip()
        if one.kind == "check":
            if (text == "true") != one.is_checked:
                body[one.name] = text == "true"
        elif text.strip() and text != one.value:
            body[one.name] = _value(one.kind, text)
    return body


def typed_of(form: Form, body: Mapping[str, Any]) -> dict[str, str]:
    """The reverse of `body_of`: parameters of an earlier operation as they would have been typed."""
    return {one.name: _text(body[one.name]) for one in form.fields if body.get(one.name) is not None}


def _value(kind: Kind, text: str) -> Any:
    if kind == "list":
        return text.replace(",", " ").split()
    return _number(text) if kind == "number" else text


def _number(text: str) -> int | float | str:
    """A number where it is one; else the text itself, of which the API will say what is wrong."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
