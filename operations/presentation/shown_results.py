"""The values of a result as text, in the order and with the titles and units that the worker's schema of it states.

Schema and result come from a worker, so each of their values may have any type; one that does not fit its hint is shown plainly.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from operations.presentation.numbers import (
    basis_points,
    duration,
    file_size,
    integer,
    percent,
    plain,
    signed_percent,
)
from operations.presentation.schema_forms import (
    alternatives,
    description_in,
    in_declared_order,
    label,
    mapping,
    resolve,
)
from worker_agent.schema_keywords import RESULT_MARK
from worker_agent.visible_text import one_line

STYLES: Mapping[str, Callable[[Any], str]] = {
    "percent": percent,
    "signed_percent": signed_percent,
    "basis_points": basis_points,
    "integer": integer,
    "duration": duration,
    "file_size": file_size,
}
MAX_UNIT = 20
MAX_DEPTH = 16
MAX_ROWS, MAX_COLUMNS = 100, 20
NO_SCHEMA: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ShownColumn:
    title: str
    is_number: bool
    """Whether all its values are numbers."""


@dataclass(frozen=True, slots=True)
class ShownTable:
    """A list of objects: a column for each of their values, at most MAX_ROWS and MAX_COLUMNS."""

    columns: list[ShownColumn]
    rows: "list[list[ShownValue | None]]"
    """None: the object of this row has no such value."""
    all_rows: int
    all_columns: int

    @property
    def is_cut(self) -> bool:
        return (self.all_rows, self.all_columns) != (len(self.rows), len(self.columns))


@dataclass(frozen=True, slots=True)
class ShownValue:
    name: str
    """Dotted, for nested values."""
    title: str
    text: str
    value: Any
    description: str = ""
    is_summary: bool = False
    table: ShownTable | None = None

    @property
    def is_number(self) -> bool:
        return _is_number(self.value)


def shown_values(result: Mapping[str, Any], schema: Mapping[str, Any] = NO_SCHEMA) -> list[ShownValue]:
    """Return the values of a result; nested objects are flattened. Values without a schema come last."""
    return list(_values(result, schema, schema, (), ()))


def shorten(text: str, longest: int) -> str:
    """Return a worker's text as one line of at most `longest` characters that harms no terminal."""
    line = one_line(" ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _values(
    result: Mapping[str, Any],
    schema: Mapping[str, Any],
    root: Mapping[str, Any],
    names: tuple[str, ...],
    titles: tuple[str, ...],
) -> Iterator[ShownValue]:
    properties = mapping(schema.get("properties"))
    known = [name for name in in_declared_order(properties, schema) if name in result]
    for name in [*known, *(name for name in result if name not in known)]:
        definition = mapping(properties.get(name))
        value, path = result[name], (*names, name)
        title = label(name, definition)
        if isinstance(value, dict) and len(path) < MAX_DEPTH:
            yield from _values(value, _object_in(definition, root), root, path, (*titles, title))
        else:
            yield _value(value, definition, root, ".".join(path), ", ".join((*titles, title)))


def _object_in(definition: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of the first alternative that names properties."""
    resolved = (resolve(part, root) for part in alternatives(definition, root))
    return next((part for part in resolved if "properties" in part), {})


def _value(
    value: Any, definition: Mapping[str, Any], root: Mapping[str, Any], name: str, title: str
) -> ShownValue:
    mark, table = mapping(definition.get(RESULT_MARK)), _table(value, definition, root)
    return ShownValue(
        name,
        title,
        _text(value, mark) if table is None else _count_rows(table),
        value,
        description_in(definition),
        mark.get("is_summary") is True,
        table,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any, mark: Mapping[str, Any]) -> str:
    """Return the value in the style and with the unit of its mark, which are for numbers."""
    if not _is_number(value):
        return plain(value)
    style, unit = mark.get("style"), mark.get("unit")
    format_ = STYLES.get(style, plain) if isinstance(style, str) else plain
    return f"{format_(value)} {unit[:MAX_UNIT]}" if isinstance(unit, str) and unit else format_(value)


def _count_rows(table: ShownTable) -> str:
    return "1 row" if table.all_rows == 1 else f"{table.all_rows} rows"


def _table(value: Any, definition: Mapping[str, Any], root: Mapping[str, Any]) -> ShownTable | None:
    """Return the table of a list of objects; None for any other value."""
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        return None
    lists = (mapping(resolve(part, root).get("items")) for part in alternatives(definition, root))
    of_item = next((_object_in(items, root) for items in lists if items), {})
    rows = [{cell.name: cell for cell in _values(item, of_item, root, (), ())} for item in value[:MAX_ROWS]]
    columns: dict[str, ShownColumn] = {}
    for name, cell in (named for row in rows for named in row.items()):
        others = columns.get(name)
        columns[name] = ShownColumn(cell.title, cell.is_number and (others is None or others.is_number))
    shown = list(columns)[:MAX_COLUMNS]
    return ShownTable(
        [columns[name] for name in shown],
        [[row.get(name) for name in shown] for row in rows],
        len(value),
        len(columns),
    )
