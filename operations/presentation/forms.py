"""Submit forms: their fields, and the JSON body that is sent to the API.

Types, defaults and choices come from the pydantic models that validate the API's input; a kind adds only labels. A form
keeps text as entered and validates nothing: the API's errors, located by their pointers, are shown beside the fields. So a
form can neither accept what the API rejects nor reject what it accepts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel

MAX_FILE_BYTES = 1024**3
"""Maximum size of the file of a form."""

Input = Literal["text", "number", "date", "choice", "check", "list", "strategy", "file"]


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
    """Build a field with the type, default, choices and requiredness of the model."""
    schema = model.model_json_schema()
    definition = schema["properties"][name]
    shape = next(option for option in definition.get("anyOf", [definition]) if option.get("type") != "null")
    default = definition.get("default")
    return Field(
        name=name,
        kind=kind or _kind(shape),
        label=label,
        value="" if default is None else _text(default),
        help=hint,
        choices=_choices(shape, has_default=default is not None),
        is_required=name in schema.get("required", ()),
    )


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
    for field in form.fields:
        text = form_data.get(field.name, field.value).replace("\r\n", "\n")
        text = text if field.kind == "strategy" else text.strip()
        if field.kind == "check":
            if (text == "true") != field.is_checked:
                body[field.name] = text == "true"
        elif text.strip() and text != field.value:
            body[field.name] = _value(field.kind, text)
    return body


def form_data_of(form: Form, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Convert the parameters of an operation back to form data; the reverse of `request_body`."""
    return {
        field.name: _text(parameters[field.name])
        for field in form.fields
        if parameters.get(field.name) is not None
    }


def _value(kind: Input, text: str) -> Any:
    if kind == "list":
        return text.replace(",", " ").split()
    return _number(text) if kind == "number" else text


def _number(text: str) -> int | float | str:
    """Parse a number; return invalid text unchanged for the API to reject."""
    for parse in (int, float):
        try:
            return parse(text)
        except ValueError:
            continue
    return text
