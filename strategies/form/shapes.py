"""The kinds of values that a field of the form can hold, and their conversion to text and back."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from workers.strategy.text_spelling import inline_value

Node = Mapping[str, Any]
Kind = Literal["number", "text", "area", "choice", "list", "word_or_list"]
_SEPARATOR = re.compile(r"[\s,]+")
_WORD = re.compile(r"[^\s,]+")
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
LONG = 400
"""A text that may be as long gets several lines."""


@dataclass(frozen=True, slots=True)
class Shape:
    kind: Kind
    choices: Mapping[str, Any] = field(default_factory=dict)
    """The text of each choice, and its value."""
    has_number_items: bool = False

    def text_of(self, value: object) -> str | None:
        """Return the text of a value of the file; None if the field cannot show it without loss."""
        if value is None:
            return ""
        match value:
            case dict():
                return None
            case tuple():
                items = [str(_text(item)) for item in value]
                is_shown = self.kind in ("list", "word_or_list") and all(map(_WORD.fullmatch, items))
                return ", ".join(items) if is_shown and items else None
            case str() if self.kind == "area":
                return value.rstrip("\n") if value.strip() else None
            case str() if not value or value != value.strip() or "\n" in value or "\r" in value:
                return None
        return _text(value)

    def value_of(self, text: str, old: object) -> Any:
        """Return the value of the text entered; one that does not fit stays a text, which the check then refuses."""
        if text in self.choices:
            return self.choices[text]
        match self.kind:
            case "number":
                return _number(text)
            case "area":
                newlines = len(old) - len(old.rstrip("\n")) if isinstance(old, str) else 0
                return text.rstrip("\n") + "\n" * newlines
            case "list" | "word_or_list":
                items = [item for item in _SEPARATOR.split(text) if item]
                return tuple(_number(item) if self.has_number_items else item for item in items)
        return text


def shape_of(node: Node) -> Shape | None:
    """Return the shape of a value with this JSON schema; None for a section."""
    options = options_of(node)
    choices = {_text(value): value for option in options for value in _choices(option)}
    lists = [option for option in options if option.get("type") == "array"]
    if lists:
        item = next(iter(lists[0].get("prefixItems", [])), None) or lists[0].get("items", {})
        if "$ref" in item:
            return None
        kind: Kind = "word_or_list" if choices else "list"
        return Shape(kind, choices, item.get("type") in ("number", "integer"))
    if choices:
        return Shape("choice", choices)
    only = options[0] if len(options) == 1 else {}
    match only.get("type"):
        case "integer" | "number":
            return Shape("number")
        case "string":
            return Shape("area" if only.get("maxLength", 0) >= LONG else "text")
    return None


def options_of(node: Node) -> list[Node]:
    """Return the schemas of a value that may also be null, without the null."""
    return [option for option in node.get("anyOf", [node]) if option.get("type") != "null"]


def _choices(option: Node) -> list[Any]:
    if option.get("type") == "boolean":
        return [True, False]
    return list(option["enum"]) if "enum" in option else [option["const"]] if "const" in option else []


def limits_of(node: Node) -> str:
    """Return the range of a number, such as "from 0 below 1"."""
    options = [option for option in node.get("anyOf", [node]) if option.get("type") in ("integer", "number")]
    words = (
        ("minimum", "from"),
        ("exclusiveMinimum", "above"),
        ("maximum", "to"),
        ("exclusiveMaximum", "below"),
    )
    return " ".join(f"{word} {option[key]:g}" for option in options for key, word in words if key in option)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return inline_value(value, is_flow=False)


def _number(text: str) -> int | float | str:
    if not _NUMBER.fullmatch(text) or len(text) > 18:
        return text
    number = int(text) if text.lstrip("+-").isdecimal() else float(text)
    return number if math.isfinite(number) else text
