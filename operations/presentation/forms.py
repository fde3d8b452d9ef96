"""Submit forms: their fields, and the JSON body that is sent to the API.

Types, defaults and choices come from the pydantic models that validate the API's input; a kind adds only labels. A form
keeps text as entered and validates nothing: the API's errors, located by their pointers, are shown beside the fields. So a
form can neither accept what the API rejects nor reject what it accepts.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel

PARAMETERS = "parameters."
"""Prefix of the names of fields that belong in `parameters` of the body."""

Input = Literal[
    "text", "number", "date", "choice", "check", "list", "strategy", "file", "area", "lines", "json"
]
"""area: several lines of text; lines: a list with one entry per line; json: any JSON value."""


@dataclass(frozen=True, slots=True)
class Field:
    """One input; `value` is the API's default or the text entered."""

    name: str
    kind: Input
    label: str
    value: str = ""
    help: str = ""
    choices: tuple[str, ...] = ()
    is_required: bool = False
    errors: tuple[str, ...] = ()
    suggestions: tuple[tuple[str, str], ...] = ()
    """pairs of value and explanation"""
    values: tuple[Any, ...] = ()
    """The JSON value of each choice, if it is not its text."""
    has_text_items: bool = True
    """The entries of lines are texts, also where they look like numbers."""
    mark: tuple[str, str] | None = None
    """The value names an input file: ("timeframe", "1d") of a symbol's bars, ("artifact", NAME) of an operation, or
    ("upload", ENDINGS) of an uploaded file."""

    @property
    def may_be_empty(self) -> bool:
        return not self.is_required and (self.kind != "choice" or "" in self.choices)

    @property
    def is_long(self) -> bool:
        """The input has several lines."""
        return self.kind in ("area", "lines", "json")

    @property
    def file_name(self) -> str:
        """Name of the input with which the file itself can be sent; empty if the field names no upload."""
        return f"{self.name}.file" if self.mark and self.mark[0] == "upload" else ""

    @property
    def endings(self) -> str:
        """Of the names of files that can be sent, for `accept`."""
        return ",".join(self.mark[1].split()) if self.mark else ""

    @property
    def is_checked(self) -> bool:
        return self.value == "true"

    @property
    def description_ids(self) -> str:
        """Ids of the elements that describe the input, for `aria-describedby`."""
        parts = (("help", self.help), ("error", self.errors))
        return " ".join(f"{prefix}_{self.name}" for prefix, content in parts if content)


@dataclass(frozen=True, slots=True)
class Fold:
    """Fields that are collapsed under a title."""

    title: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a kind of operation: the main fields and the collapsed ones."""

    title: str
    api_path: str
    submit_text: str
    main: tuple[Field, ...]
    folds: tuple[Fold, ...] = ()
    preview_path: str = ""
    """Route that shows how the file would be read; the form then submits in a second step."""
    preview_template: str = ""
    operation_type: str = ""
    """In the body, beside `parameters`, for a type that workers announced."""
    description: str = ""

    def locate(self, pointer: str) -> tuple[str, str]:
        """Return the field that an API's JSON pointer concerns, and the place within its value; both may be empty."""
        first, *rest = [part.replace("~1", "/").replace("~0", "~") for part in pointer.strip("/").split("/")]
        if self.operation_type and first == "parameters" and rest:
            named = f"{PARAMETERS}{rest[0]}"
            first, *rest = [named, *rest[1:]] if any(f.name == named for f in self.fields) else [first, *rest]
        return first, "/".join(rest)

    @property
    def has_file(self) -> bool:
        """A form with a file is sent as multipart/form-data."""
        return any(field.kind == "file" for field in self.fields)

    @property
    def upload_fields(self) -> tuple[Field, ...]:
        """Fields whose file can be sent with the form."""
        return tuple(field for field in self.fields if field.file_name)

    @property
    def fields(self) -> tuple[Field, ...]:
        return (*self.main, *(field for fold in self.folds for field in fold.fields))


def form_text(value: Any, kind: Input) -> str:
    """Return a JSON value as the text of an input; the reverse of `_value`."""
    if kind == "json" or isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if kind == "lines" and isinstance(value, list):
        return "\n".join(map(_text, value))
    if kind == "choice" and isinstance(value, bool):
        return "true" if value else "false"
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def field_of(
    model: type[BaseModel], name: str, label: str, hint: str = "", kind: Input | None = None
) -> Field:
    """Build a field with the type, default, choices and requiredness of the model."""
    schema = _schema_of(model)
    definition = schema["properties"][name]
    shape = next(option for option in definition.get("anyOf", [definition]) if option.get("type") != "null")
    default = definition.get("default")
    if shape.get("type") == "boolean" and default is None:
        return Field(
            name, "choice", label, help=hint, choices=("", "true", "false"), values=(None, True, False)
        )
    return Field(
        name=name,
        kind=kind or _kind(shape),
        label=label,
        value="" if default is None else _text(default),
        help=hint,
        choices=_choices(shape, has_default=default is not None),
        is_required=name in schema.get("required", ()),
    )


@cache
def _schema_of(model: type[BaseModel]) -> Mapping[str, Any]:
    """Return the JSON schema, which takes pydantic 3 ms: a form asks for it once per field."""
    return model.model_json_schema()


def _choices(shape: Mapping[str, Any], *, has_default: bool) -> tuple[str, ...]:
    """Return the values of a choice; one without a default starts with the empty value, which is not sent."""
    values = tuple(shape.get("enum", ()))
    return values if has_default or not values else ("", *values)


def _kind(shape: Mapping[str, Any]) -> Input:
    if "enum" in shape:
        return "choice"
    if shape.get("format") == "date":
        return "date"
    kinds: dict[Any, Input] = {"boolean": "check", "array": "list", "integer": "number", "number": "number"}
    return kinds.get(shape.get("type"), "text")


def queueing_fields(model: type[BaseModel]) -> tuple[Field, ...]:
    return (
        field_of(model, "priority", "Priority", "Operations with a higher priority start first."),
        field_of(model, "queue", "Wait in the queue if no worker is free"),
        field_of(
            model, "timeout_s", "Time limit, seconds", "An attempt that runs longer is stopped and fails."
        ),
        field_of(model, "expires_after_s", "Must start within, seconds", "Otherwise the operation fails."),
        field_of(model, "after", "After", "Ids of operations that must complete first, separated by spaces."),
    )


def seeds_field() -> Field:
    """The number of seeds, of kinds whose results depend on one. With 2 or more the submission is a seed run."""
    hint = "2 or more submit one operation per seed, and show how much the figures depend on the seed."
    return Field("seeds", "number", "Number of seeds", value="1", help=hint)


def date_fields(model: type[BaseModel]) -> tuple[Field, ...]:
    return field_of(model, "start_date", "From"), field_of(model, "end_date", "To")


def fill_fields(
    fields: Iterable[Field],
    form_data: Mapping[str, str],
    errors: Mapping[str, list[str]],
    suggestions: Mapping[str, list[tuple[str, str]]],
) -> list[Field]:
    """Return the fields with the text entered, its errors and suggestions."""
    return [
        replace(
            field,
            value=form_data.get(field.name, field.value),
            errors=tuple(errors.get(field.name, ())),
            suggestions=tuple(suggestions.get(field.name, ())),
        )
        for field in fields
    ]


def request_body(form: Form, form_data: Mapping[str, str]) -> dict[str, Any]:
    """Convert form data to the JSON body for the API. Empty and unchanged fields are omitted: the API has defaults."""
    body: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    for field in form.fields:
        is_parameter = field.name.startswith(PARAMETERS)
        target = parameters if is_parameter else body
        name = field.name.removeprefix(PARAMETERS)
        text = form_data.get(field.name, field.value).replace("\r\n", "\n")
        text = text if field.kind == "strategy" else text.strip()
        if field.kind == "check":
            if (text == "true") != field.is_checked:
                target[name] = text == "true"
        elif text.strip() and text != field.value:
            target[name] = value_of(field, text)
    if not form.operation_type:
        return body
    return {"operation_type": form.operation_type, "parameters": parameters, **body}


def form_data_of(form: Form, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Convert the parameters of an operation back to form data; the reverse of `request_body`."""
    return {
        field.name: form_text(value, field.kind)
        for field in form.fields
        if (value := parameters.get(field.name.removeprefix(PARAMETERS))) is not None
        and (field.name.startswith(PARAMETERS) or not form.operation_type)
    } | {
        field.name: form_text(dict(parameters), "json") for field in form.fields if field.name == "parameters"
    }


def value_of(field: Field, text: str) -> Any:
    """Convert the text of an input to a JSON value; what cannot be converted stays a text for the API to reject."""
    match field.kind:
        case "list":
            return text.replace(",", " ").split()
        case "lines":
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            return lines if field.has_text_items else [_number(line) for line in lines]
        case "number":
            return _number(text)
        case "json":
            return _json(text)
        case "choice" if field.values and text in field.choices:
            return field.values[field.choices.index(text)]
    return text


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _number(text: str) -> int | float | str:
    """Parse a number; return invalid text unchanged for the API to reject."""
    for parse in (int, float):
        try:
            return parse(text)
        except ValueError:
            continue
    return text
