"""Forms made from the models with which the API validates, so that both always ask for the same.

A form keeps what was typed as text. Its JSON body is what the API would be sent, and the model's errors, with
their pointers, come back beside the fields. Nothing is validated a second time here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from django.http import QueryDict
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

Kind = Literal["text", "number", "date", "choice", "check", "list", "strategy"]

LABELS = {
    "strategy_yaml": "Strategy",
    "model": "Trained model",
    "start_date": "From",
    "end_date": "To",
    "prefer_gpu": "Prefer a GPU",
    "allow_short": "Allow short positions",
    "queue": "Wait in the queue if no worker is free",
}
HELP = {
    "symbols": "Separated by spaces. Empty: those of the strategy file.",
    "timeframes": "Separated by spaces. Empty: those of the strategy file.",
    "commission": "Fraction of the notional, each way.",
    "slippage": "Fraction of the price, against us.",
    "spread": "Fraction of the price; half of it is paid each way.",
    "priority": "Higher goes first.",
    "seed": "The same seed gives the same model.",
    "model": "Id of a completed training. Its strategy is used.",
    "stop_loss": "Fraction of the entry price, 0.05 is 5 %.",
    "take_profit": "Fraction of the entry price.",
    "trailing_stop": "Fraction of the best price since entry.",
    "size": "Fraction of the equity, or units.",
    "after": "Ids of operations that must complete first.",
}


@dataclass(slots=True)
class Field:
    """One input: what was typed, what the model says about it, and what is wrong with it."""

    name: str
    kind: Kind
    label: str
    value: str
    help: str = ""
    choices: list[str] = field(default_factory=list)
    minimum: float | None = None
    maximum: float | None = None
    is_required: bool = False
    errors: list[str] = field(default_factory=list)

    @property
    def is_checked(self) -> bool:
        return self.value in ("true", "on", "True")


def fields_of(
    model: type[BaseModel],
    names: Iterable[str],
    typed: Mapping[str, str],
    errors: Mapping[str, list[str]],
) -> list[Field]:
    """The named fields of the model in this order, with what was typed and its errors by field name."""
    return [
        _field(name, model.model_fields[name], typed.get(name), errors.get(name, []))
        for name in names
        if name in model.model_fields
    ]


def _field(name: str, info: FieldInfo, typed: str | None, errors: list[str]) -> Field:
    kind, choices = _kind(name, info.annotation)
    bounds = {type(bound): bound for bound in info.metadata}
    return Field(
        name=name,
        kind=kind,
        label=LABELS.get(name, name.replace("_", " ").capitalize()),
        value=_default(info, kind) if typed is None else typed,
        help=info.description or HELP.get(name, ""),
        choices=choices,
        minimum=_bound(bounds, Ge, "ge", Gt, "gt"),
        maximum=_bound(bounds, Le, "le", Lt, "lt"),
        is_required=info.is_required(),
        errors=errors,
    )


def _bound(bounds: Mapping[type, Any], closed: type, closed_name: str, open_: type, open_name: str) -> Any:
    if closed in bounds:
        return getattr(bounds[closed], closed_name)
    return getattr(bounds[open_], open_name) if open_ in bounds else None


def _default(info: FieldInfo, kind: Kind) -> str:
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined:
        return ""
    if isinstance(value, bool):
        return "true" if value else ""
    if kind == "list":
        return " ".join(map(str, value))
    return str(value.value if isinstance(value, Enum) else value)


def _kind(name: str, annotation: Any) -> tuple[Kind, list[str]]:
    if name == "strategy_yaml":
        return "strategy", []
    inner = _without_none(annotation)
    origin = get_origin(inner)
    if origin is Literal:
        return "choice", [str(value) for value in get_args(inner)]
    if origin in (list, tuple, set, frozenset):
        return "list", []
    if isinstance(inner, type):
        if issubclass(inner, Enum):
            return "choice", [str(member.value) for member in inner]
        if inner is bool:
            return "check", []
        if issubclass(inner, date):
            return "date", []
        if issubclass(inner, int | float):
            return "number", []
    return "text", []


def _without_none(annotation: Any) -> Any:
    """`Annotated[float, ...] | None` -> `float`."""
    if hasattr(annotation, "__metadata__"):
        return _without_none(annotation.__origin__)
    if get_origin(annotation) in (Union, UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
        return _without_none(kinds[0])
    return annotation


def body_of(model: type[BaseModel], names: Iterable[str], posted: QueryDict) -> dict[str, Any]:
    """The JSON that the API would be sent. What was left empty is left out, what equals the default too."""
    body: dict[str, Any] = {}
    for name in names:
        info = model.model_fields.get(name)
        if info is None:
            continue
        kind, _ = _kind(name, info.annotation)
        text = posted.get(name, "").replace("\r\n", "\n")
        if kind != "strategy":
            text = text.strip()
        if kind == "check":
            chosen = text in ("true", "on")
            if chosen != bool(info.default):
                body[name] = chosen
        elif text and text != _default(info, kind):
            body[name] = _value(kind, text)
    return body


def _value(kind: Kind, text: str) -> Any:
    if kind == "list":
        return text.replace(",", " ").split()
    if kind == "number":
        return _number(text)
    return text


def _number(text: str) -> int | float | str:
    """A number where it is one; else the text itself, of which the model will say what is wrong."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
