"""Read strict YAML into plain values, each with its position in the text.

Sequences become tuples. Scalars follow the core schema of YAML 1.2 (1e-3 is a number, `yes` and 2010-01-31 are text).
Duplicate keys, tags, merge keys, keys that are not text, several documents, deep nesting, anchors and aliases are
rejected.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from workers.strategy.errors import Place, StrategyError, StrategyProblem, pointer
from workers.strategy.quoting import quote, shorten

MAX_CHARACTERS = 262_144
MAX_DEPTH = 24
MAX_VALUES = 20_000

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    spelling: word == "true" for word in ("true", "false") for spelling in (word, word.title(), word.upper())
}


_YAML_MESSAGES = {
    "'\\t'": "not valid YAML: a tab cannot start a value or indent a line; use spaces",
    "mapping values are not allowed": "not valid YAML: a ':' is not allowed here; quote the text or start a new line",
    "could not find expected ':'": "not valid YAML: a ':' after a key is missing, or the indentation is wrong",
    "expected ',' or ']'": "not valid YAML: a list in [ ] needs a ',' between its entries and a ']' at its end",
    "expected ',' or '}'": "not valid YAML: a section in { } needs a ',' between its keys and a '}' at its end",
    "expected <block end>": "not valid YAML: this line does not fit the indentation of the lines above it",
    "unexpected end of stream": "not valid YAML: a quote is not closed",
    "cannot start any token": "not valid YAML: a value cannot start with this character; quote the value",
}
"""Fragments of PyYAML's messages, with the message that the author sees."""


@dataclass(frozen=True, slots=True)
class Document:
    """`places` maps the pointer of every value to its position; for a value in a mapping, to that of its key.

    `spans` maps the pointer of every scalar to the start and the end of its spelling in `text`.
    """

    data: Any
    places: dict[str, Place]
    text: str = ""
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)

    def place(self, at: str) -> Place:
        """Return the position of `at`, or of the nearest enclosing value that the text contains."""
        while at and at not in self.places:
            at = at.rpartition("/")[0]
        return self.places.get(at, Place(1, 1))

    def place_inside(self, at: str, value: str, offset: int) -> Place:
        """Return the position of character `offset` of the text value at the pointer `at`.

        Spaces and line ends of folded text have no fixed spelling, so the characters between them are followed through
        the spelling; a character that is written as an escape has the position of the whole value.
        """
        if at not in self.spans:
            return self.place(at)
        index, end = self.spans[at]
        if self.text[index] in "|>":
            index = self.text.index("\n", index)
        visible = [character for character in value[: offset + 1] if not character.isspace()]
        place = index
        for character in visible:
            place = self.text.find(character, index, end)
            if place < 0:
                return _place_of(self.text, self.spans[at][0])
            index = place + 1
        if offset >= len(value.rstrip()) and visible:
            place += 1
        return _place_of(self.text, place)


def _place_of(text: str, index: int) -> Place:
    return Place(text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index))


def read_document(text: str) -> Document:
    """Parse `text`. Raises `StrategyError` with the position of the first part that cannot be read."""
    if len(text) > MAX_CHARACTERS:
        raise _error("", Place(1, 1), f"the file has {len(text)} characters; the limit is {MAX_CHARACTERS}")
    builder = _Builder(_events(text), text)
    try:
        return builder.build()
    except yaml.MarkedYAMLError as error:
        raise _error("", _mark(error.problem_mark), _yaml_message(error)) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _error("", Place(line, 1), "the file contains a character that YAML does not allow") from error


class FileWriter(yaml.SafeDumper):
    """Quotes every text that this module would read as something else, and writes lists in one line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _write_text(writer: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_plain = text not in _CONSTANTS and not _INTEGER.fullmatch(text) and not _FLOAT.fullmatch(text)
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


def _write_list(writer: yaml.SafeDumper, items: tuple[Any, ...]) -> yaml.SequenceNode:
    is_flat = not any(isinstance(item, dict) for item in items)
    return writer.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=is_flat)


FileWriter.add_representer(str, _write_text)
FileWriter.add_representer(tuple, _write_list)


def write_document(values: Any) -> str:
    """Return text that `read_document` reads as these values."""
    return str(yaml.dump(values, Dumper=FileWriter, sort_keys=False, allow_unicode=True, width=100))


def _events(text: str) -> Iterator[Event]:
    return iter(yaml.parse(text, Loader=yaml.SafeLoader))


def _mark(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)


def _yaml_message(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "not YAML"
    for fragment, message in _YAML_MESSAGES.items():
        if fragment in problem:
            return message
    return f"not valid YAML: {shorten(problem)}"


def _error(at: str, place: Place, message: str) -> StrategyError:
    return StrategyError([StrategyProblem(at, place.line, place.column, message)])


@dataclass(slots=True)
class _Builder:
    """Builds values from YAML events, so that depth and size are limited before anything is expanded."""

    events: Iterator[Event]
    text: str
    places: dict[str, Place] = field(default_factory=dict)
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)
    values: int = 0

    def build(self) -> Document:
        self._take(StreamStartEvent)
        start = next(self.events)
        if isinstance(start, StreamEndEvent):
            raise _error("", Place(1, 1), "the file is empty")
        assert isinstance(start, DocumentStartEvent)
        data = self._value(next(self.events), (), 0)
        self._take(DocumentEndEvent)
        after = next(self.events)
        if not isinstance(after, StreamEndEvent):
            raise _error(
                "",
                _mark(after.start_mark),
                "a second YAML document starts here; a file contains one strategy",
            )
        return Document(data, self.places, self.text, self.spans)

    def _take(self, kind: type[Event]) -> None:
        event = next(self.events)
        assert isinstance(event, kind)

    def _value(self, event: Event, path: tuple[str | int, ...], depth: int) -> Any:
        at, place = pointer(*path), _mark(event.start_mark)
        self.values += 1
        if self.values > MAX_VALUES:
            raise _error(at, place, f"the file contains more than {MAX_VALUES} values")
        if depth > MAX_DEPTH:
            raise _error(at, place, f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _error(at, place, "anchors and aliases (& and *) are not supported; write the value out")
        if (tag := getattr(event, "tag", None)) is not None:
            raise _error(at, place, f"the tag {shorten(tag)} is not supported; write the value without it")
        self.places.setdefault(at, place)
        match event:
            case ScalarEvent():
                assert event.start_mark is not None
                assert event.end_mark is not None
                self.spans[at] = event.start_mark.index, event.end_mark.index
                return _scalar(event, at, place)
            case SequenceStartEvent():
                return self._sequence(path, depth)
            case MappingStartEvent():
                return self._mapping(path, depth)
        raise AssertionError(f"unexpected {event!r}")

    def _sequence(self, path: tuple[str | int, ...], depth: int) -> tuple[Any, ...]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            items.append(self._value(event, (*path, len(items)), depth + 1))
        return tuple(items)

    def _mapping(self, path: tuple[str | int, ...], depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(self.events), MappingEndEvent):
            key = self._key(event, path)
            at, place = pointer(*path, key), _mark(event.start_mark)
            if key in mapping:
                first = self.places[at].line
                raise _error(at, place, f"{quote(key)} appears twice in this section, first on line {first}")
            self.places[at] = place
            mapping[key] = self._value(next(self.events), (*path, key), depth + 1)
        return mapping

    def _key(self, event: Event, path: tuple[str | int, ...]) -> str:
        place = _mark(event.start_mark)
        if (
            not isinstance(event, ScalarEvent)
            or event.anchor is not None
            or getattr(event, "tag", None) is not None
        ):
            raise _error(pointer(*path), place, "a key must be plain text")
        if event.value == "<<" and event.style is None:
            raise _error(pointer(*path), place, "merge keys (<<) are not supported; write the values out")
        return str(event.value)


def _scalar(event: ScalarEvent, at: str, place: Place) -> Any:
    text = str(event.value)
    if event.style is not None:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        if len(text) > 18:
            raise _error(at, place, "this number is too large")
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
