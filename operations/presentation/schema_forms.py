"""The submit form of a type that workers announced, made from the JSON schema of its parameters.

A schema comes from a worker, so each of its values may have any type: what cannot be used is left out, and a parameter whose
schema fits no input is entered as JSON. Like every form, this one validates nothing; the API does, by the same schema.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeGuard

from operations.presentation.forms import (
    PARAMETERS,
    Field,
    Fold,
    Form,
    Input,
    field_of,
    form_text,
    queueing_fields,
    seeds_field,
)
from operations.presentation.numbers import words
from operations.requests import GenericRequest
from worker_agent.schema_keywords import INPUT_MARK, ORDER_MARK
from worker_agent.validation_messages import number

MAX_FIELDS = 200
MAX_TEXT = 500
LONG_TEXT = 400
"""A text that may be as long gets several lines."""
MAX_REFERENCES = 32
WHOLE = "parameters"
"""The field for all parameters, of a schema that names none."""
_FORMATS: dict[Input, str] = {"lines": "One entry per line.", "json": "As JSON."}
_UPLOAD = "Choose a file, or enter the id of an upload."
_KINDS: dict[Any, Input] = {"integer": "number", "number": "number", "string": "text"}

Schema = Mapping[str, Any]


def schema_form(operation_type: str, schema: Schema) -> Form:
    """Build the form of `POST /operations` for one type."""
    return Form(
        title=f"New operation of type {operation_type}",
        api_path="/operations",
        submit_text="Submit",
        main=tuple(_fields(schema)),
        folds=(_seeds_fold(), _queue_fold()) if "seed" in _properties(schema) else (_queue_fold(),),
        operation_type=operation_type,
        description=description_in(schema),
    )


@cache
def _seeds_fold() -> Fold:
    return Fold("Seeds", (seeds_field(),))


@cache
def _queue_fold() -> Fold:
    prefer_gpu = field_of(GenericRequest, "prefer_gpu", "Prefer a worker with a GPU")
    return Fold("Queue", (*queueing_fields(GenericRequest), prefer_gpu))


def _properties(schema: Schema) -> Schema:
    return mapping(resolve(schema, schema).get("properties"))


def in_declared_order(properties: Schema, schema: Schema, otherwise: Sequence[Any] = ()) -> list[str]:
    """Return the names of the properties in the order of declaration that the schema states, or in that of `otherwise`.

    Properties that it does not name come last.
    """
    order = schema.get(ORDER_MARK)
    stated = order if isinstance(order, list) else otherwise
    names = dict.fromkeys([*(name for name in stated if isinstance(name, str)), *properties])
    return [name for name in names if name in properties]


def _fields(schema: Schema) -> Iterator[Field]:
    properties = _properties(schema)
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    if not properties:
        yield Field(WHOLE, "json", "Parameters", help="A JSON object with all parameters.")
    for name in in_declared_order(properties, schema, otherwise=names)[:MAX_FIELDS]:
        yield _field(name, mapping(properties[name]), schema, is_required=name in names)


def _field(name: str, definition: Schema, root: Schema, *, is_required: bool) -> Field:
    parts = [resolve(part, root) for part in alternatives(definition, root)]
    shapes = [part for part in parts if part.get("type") != "null"]
    shape = shapes[0] if len(shapes) == 1 else {}
    default = definition.get("default")
    items = resolve(mapping(shape.get("items")), root)
    kind, choices = _input(shape, items, default)
    # As in the forms of the product, a choice without a default starts with the empty value, which is not sent.
    values: list[Any] = [None, *choices] if choices and default is None else choices
    mark = _mark(definition, shape)
    how = _UPLOAD if mark and mark[0] == "upload" else _FORMATS.get(kind, "")
    return Field(
        name=f"{PARAMETERS}{name}",
        kind=kind,
        label=label(name, definition),
        value="" if default is None else form_text(default, kind),
        help=" ".join(filter(None, (_help(definition, shape), _limits(shape), how))),
        choices=tuple("" if value is None else form_text(value, kind) for value in values),
        is_required=is_required,
        values=tuple(values),
        has_text_items=items.get("type") == "string",
        mark=mark,
    )


def alternatives(definition: Schema, root: Schema) -> list[Schema]:
    """Return the schemas of which one applies: those of `anyOf`, or the definition itself."""
    resolved = resolve(definition, root)
    parts = resolved.get("anyOf") or resolved.get("oneOf")
    return [mapping(part) for part in parts] if isinstance(parts, list) else [resolved]


def resolve(schema: Schema, root: Schema) -> Schema:
    """Follow references into `$defs`, and an `allOf` with one entry."""
    for _ in range(MAX_REFERENCES):
        whole = schema.get("allOf")
        if isinstance(whole, list) and len(whole) == 1:
            schema = {**schema, "allOf": None, **mapping(whole[0])}
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        name = reference.removeprefix("#/$defs/").replace("~1", "/").replace("~0", "~")
        own = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**mapping(mapping(root.get("$defs")).get(name)), **own}
    return {}


def _input(shape: Schema, items: Schema, default: Any) -> tuple[Input, list[Any]]:
    """Return the kind of input, and the values of a choice."""
    kind = shape.get("type")
    if isinstance(options := shape.get("enum"), list) and options:
        return "choice", options
    if "const" in shape:
        return "choice", [shape["const"]]
    if kind == "boolean":
        return ("choice", [True, False]) if default is None else ("check", [])
    if kind == "string" and shape.get("format") == "date":
        return "date", []
    longest = shape.get("maxLength")
    if kind == "string" and isinstance(longest, int) and longest >= LONG_TEXT:
        return "area", []
    if kind == "array" and _is_scalar(items):
        return "lines", []
    return (_KINDS.get(kind, "json") if isinstance(kind, str) else "json"), []


def label(name: str, definition: Schema) -> str:
    """Return the title that an author gave; pydantic makes one of the name otherwise."""
    title = _text(definition.get("title"))
    return title if title and title != name.replace("_", " ").title() else words(name)


def description_in(definition: Schema) -> str:
    return _text(definition.get("description"))


def _help(definition: Schema, shape: Schema) -> str:
    text = description_in(definition) or description_in(shape)
    return f"{text.rstrip('.')}." if text else ""


def _limits(shape: Schema) -> str:
    """Return the range of a number, the length of a text or the count of a list as a sentence."""
    bounds = [
        f"{word} {number(limit)}"
        for key, word in (
            ("minimum", "at least"),
            ("exclusiveMinimum", "greater than"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "less than"),
            ("multipleOf", "a multiple of"),
        )
        if _is_number(limit := shape.get(key))
    ]
    for key, word, noun in (
        ("maxLength", "at most", "characters"),
        ("minItems", "at least", "entries"),
        ("maxItems", "at most", "entries"),
    ):
        if _is_number(limit := shape.get(key)):
            bounds.append(f"{word} {number(limit)} {noun}")
    text = ", ".join(bounds)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _is_scalar(items: Schema) -> bool:
    return items.get("type") in ("integer", "number", "string")


def _mark(definition: Schema, shape: Schema) -> tuple[str, str] | None:
    """Return ("timeframe", "1d"), ("artifact", NAME) or ("upload", ENDINGS) of a parameter that names an input file."""
    mark = mapping(definition.get(INPUT_MARK)) or mapping(shape.get(INPUT_MARK))
    return next(((key, value) for key, value in mark.items() if isinstance(value, str)), None)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def mapping(value: Any) -> Schema:
    """Return the value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return " ".join(value.split())[:MAX_TEXT] if isinstance(value, str) else ""
