"""The submit forms: which fields, how they are typed, and the JSON body that the API is sent.

A form keeps what was typed as text and validates nothing itself: the API's answer, with its pointers, is what stands
beside the fields. So the form can never allow what the API refuses, or refuse what it allows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

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
    suggestions: tuple[str, ...] = ()

    @property
    def is_checked(self) -> bool:
        return self.value == "true"


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of operation as a form: what is asked first, and what stays folded."""

    title: str
    operation_type: str
    api_path: str
    submit_text: str
    main: tuple[Field, ...]
    more: tuple[Field, ...] = ()
    more_title: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fields(self) -> tuple[Field, ...]:
        return (*self.main, *self.more)


QUEUEING = (
    Field("priority", "number", "Priority", "0", "Higher goes first."),
    Field("queue", "check", "Wait in the queue if no worker is free", "true"),
    Field("after", "list", "After", help="Ids of operations that must complete first."),
)
DATES = (Field("start_date", "date", "From"), Field("end_date", "date", "To"))

TRAINING = Form(
    title="New training",
    operation_type="training",
    api_path="/training/start",
    submit_text="Start training",
    main=(
        Field("strategy_yaml", "strategy", "Strategy", is_required=True),
        Field("symbols", "list", "Symbols", help="Separated by spaces. Empty: those of the strategy."),
        Field("timeframes", "list", "Timeframes", help="Separated by spaces. Empty: those of the strategy."),
        *DATES,
    ),
    more=(
        Field("seed", "number", "Seed", "42", "The same seed gives the same model."),
        Field("prefer_gpu", "check", "Prefer a GPU", "true"),
        *QUEUEING,
    ),
    more_title="Seed, GPU and queue",
)
BACKTEST = Form(
    title="New backtest",
    operation_type="backtesting",
    api_path="/backtests/start",
    submit_text="Start backtest",
    main=(
        Field("model", "text", "Trained model", help="Id of a completed training; its strategy is used."),
        Field("strategy_yaml", "strategy", "Strategy"),
        Field("symbol", "text", "Symbol", is_required=True),
        Field("timeframe", "text", "Timeframe", help="Empty: that of the strategy."),
        *DATES,
        Field("initial_capital", "number", "Initial capital", "100000"),
    ),
    more=(
        Field("commission", "number", "Commission", "0.001", "Fraction of the notional, each way."),
        Field("slippage", "number", "Slippage", "0.0005", "Fraction of the price, against us."),
        Field(
            "spread",
            "number",
            "Spread",
            help="Fraction of the price; half of it is paid each way. Empty: the data's own, where they have one.",
        ),
        Field(
            "fill",
            "choice",
            "Fill",
            "next_open",
            "Decided at a bar's close; filled then or at the next bar.",
            ("next_open", "next_close", "same_close"),
        ),
        Field("sizing", "choice", "Sizing", "fraction", choices=("fraction", "units")),
        Field("size", "number", "Size", "1.0", "Fraction of the equity, or units."),
        Field("stop_loss", "number", "Stop loss", help="Fraction of the entry price; 0.05 is 5 %."),
        Field("take_profit", "number", "Take profit", help="Fraction of the entry price."),
        Field("trailing_stop", "number", "Trailing stop", help="Fraction of the best price since entry."),
        Field("allow_short", "check", "Allow short positions", ""),
        *QUEUEING,
    ),
    more_title="Costs, fills, stops and queue",
)
IMPORT = Form(
    title="Import market data",
    operation_type="data_import",
    api_path="/market-data",
    submit_text="Import",
    main=(
        Field("file", "file", "File", help="CSV (Yahoo, MetaTrader, Stooq, histdata) or Parquet.", is_required=True),
        Field("symbol", "text", "Symbol", is_required=True),
        Field("timeframe", "text", "Timeframe", "1d", "1m, 5m, 15m, 30m, 1h, 4h, 1d or 1w.", is_required=True),
        Field("adjust", "check", "Apply the adjusted close to open, high, low and close", ""),
        Field("timezone", "text", "Time zone", help="Of the file's times; empty: UTC. Example: America/New_York"),
    ),
)  # fmt: skip


def filled(
    fields: Iterable[Field], typed: Mapping[str, str], problems: Mapping[str, list[str]]
) -> list[Field]:
    """The fields with what was typed, and what is wrong with it."""
    return [
        replace(one, value=typed.get(one.name, one.value), errors=tuple(problems.get(one.name, ())))
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


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else ""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


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
