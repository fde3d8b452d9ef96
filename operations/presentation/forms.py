"""Submit forms: their fields, and the JSON body that is sent to the API.

Types, defaults and choices come from the pydantic models that validate the API's input; a kind adds only labels. A form
keeps text as typed and validates nothing: the API's answer, with its pointers, is shown beside the fields. So a form can
neither allow what the API refuses nor refuse what it allows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel

Input = Literal["text", "number", "date", "choice", "check", "list", "strategy", "file"]


@dataclass(frozen=True, slots=True)
class Field:
    """One input; `value` is first the API's default, then what was typed."""

    name: str
    kind: Input
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
    api_path: str
    submit_text: str
    main: tuple[Field, ...]
    folds: tuple[Fold, ...] = ()

    @property
    def has_file(self) -> bool:
        """A form with a file is sent as multipart/form-data."""
        return any(field.kind == "file" for field in self.fields)

    @property
    def fields(self) -> tuple[Field, ...]:
        return (*self.main, *(field for fold in self.folds for field in fold.fields))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def field_of(
    model: type[BaseModel], name: str, label: str, hint: str = "", kind: Input | None = None
) -> Field:
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


def _kind(shape: Mapping[str, Any]) -> Input:
    if "enum" in shape:
        return "choice"
    if shape.get("format") == "date":
        return "date"
    kinds: dict[Any, Input] = {"boolean": "check", "array": "list", "integer": "number", "number": "number"}
    return kinds.get(shape.get("type"), "text")


def queueing_fields(model: type[BaseModel]) -> tuple[Field, ...]:
    return (
        field_of(model, "priority", "Priority", "Higher goes first."),
        field_of(model, "queue", "Wait in the queue if no worker is free"),
        field_of(model, "after", "After", "Ids of operations that must complete first."),
    )


def date_fields(model: type[BaseModel]) -> tuple[Field, ...]:
    return field_of(model, "start_date", "From"), field_of(model, "end_date", "To")


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


def _value(kind: Input, text: str) -> Any:
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
