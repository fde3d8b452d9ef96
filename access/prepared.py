"""Statements on the path of every operation: written in SQL, and prepared by each database session.

Django builds the text of a statement from a queryset and formats the parameters into it, so PostgreSQL parses and plans
it again each time; for statements that touch a row by its key, this takes several times as long as the execution. Here
the text is constant, the parameters are sent apart from it, and psycopg prepares it once it has been executed a few
times (`KTRDR_PREPARED_STATEMENTS`).

A migration that changes the type of a returned column invalidates the plan: PostgreSQL refuses the next execution. A
statement outside a transaction is then repeated at once; inside, `atomic_with_retries` repeats the transaction.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeVar

import psycopg
from django.db import DEFAULT_DB_ALIAS, NotSupportedError, connection, connections, models, transaction

from access.conflicts import is_stale_plan

Row = TypeVar("Row", bound=models.Model)
Parameters = Mapping[str, Any] | Sequence[Any]
MAX_TEXTS = 1024
_PLACEHOLDER = re.compile(r"%(?:\((?P<name>\w+)\)s|(?P<next>s)|%)")


def fetch(statement: str, parameters: Parameters) -> list[tuple[Any, ...]]:
    """Execute the statement, with parameters as `%(name)s` or `%s`, and return its rows.

    PostgreSQL infers their types: cast a parameter where nothing else determines its type, as in a SELECT list.
    """
    try:
        return _execute(statement, parameters)
    except NotSupportedError as error:
        if connection.in_atomic_block or not is_stale_plan(error):
            raise
        connection.close()  # its plans are of a schema from before a migration
        return _execute(statement, parameters)


def fetch_one(statement: str, parameters: Parameters) -> tuple[Any, ...] | None:
    """Return the first row."""
    rows = fetch(statement, parameters)
    return rows[0] if rows else None


def fetch_together(*statements: tuple[str, Parameters]) -> list[list[tuple[Any, ...]]]:
    """Execute the statements as one transaction that takes one round trip, and return the rows of each.

    Each sees what was committed before it started, so one may wait for a lock that the next one relies on.
    """
    session = _open_session()
    if session.in_atomic_block or session.queries_logged or session.execute_wrappers:
        with transaction.atomic():
            return [_execute(statement, parameters) for statement, parameters in statements]
    cursors = []
    # The server ends a transaction that nobody opened where the pipeline ends.
    with session.wrap_database_errors, session.connection.pipeline():
        for statement, parameters in statements:
            cursors.append(cursor := psycopg.RawCursor(session.connection))
            cursor.execute(*_numbered(statement, parameters))
    return [_rows(cursor) for cursor in cursors]


def _execute(statement: str, parameters: Parameters) -> list[tuple[Any, ...]]:
    """Send the parameters apart from the statement, with Django's errors and log of queries."""
    session = _open_session()
    if session.queries_logged or session.execute_wrappers:
        wrap = session.make_debug_cursor if session.queries_logged else session.make_cursor
        with wrap(psycopg.Cursor(session.connection)) as wrapped:
            wrapped.execute(statement, parameters)
            return _rows(wrapped)
    # What the wrapper does besides takes as long as the statement.
    session.validate_no_broken_transaction()
    with session.wrap_database_errors:
        cursor = psycopg.RawCursor(session.connection)
        cursor.execute(*_numbered(statement, parameters))
        return _rows(cursor)


def _open_session() -> Any:
    """Return the wrapper of the database session, which is opened if necessary; the stubs do not know its cursors."""
    session = connections[DEFAULT_DB_ALIAS]  # once: `connection` looks it up at each access
    session.close_if_health_check_failed()
    session.ensure_connection()
    return session


def _numbered(statement: str, parameters: Parameters) -> tuple[bytes, list[Any]]:
    """Return what PostgreSQL expects, a text with `$1` and a list: psycopg would convert long texts each time."""
    text, names = _parse(statement)
    values: Any = parameters
    return text, [values[name] for name in names]


@lru_cache(MAX_TEXTS)
def _parse(statement: str) -> tuple[bytes, tuple[str | int, ...]]:
    """Return the statement with numbered parameters, and in their order the names or positions of the values."""
    names: list[str | int] = []

    def number(placeholder: re.Match[str]) -> str:
        if not (placeholder["name"] or placeholder["next"]):
            return "%"
        name = placeholder["name"] or len(names)
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return _PLACEHOLDER.sub(number, statement).encode(), tuple(names)


def _rows(cursor: Any) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def columns_of(model: type[models.Model], alias: str, *, without: Collection[str] = ()) -> str:
    """Return the list of the model's columns for `instance`, which loads those in `without` when they are first read."""
    layout = _layout(model, frozenset(without))
    return ", ".join(f'{alias}."{column}"' for column in layout.columns)


def instance(model: type[Row], values: Sequence[Any], *, without: Collection[str] = ()) -> Row:
    """Return the row as an object, as a queryset would."""
    layout = _layout(model, frozenset(without))
    converted = list(values)
    for position, convert in layout.converters.items():
        converted[position] = convert(converted[position], None, connection)
    return model.from_db(DEFAULT_DB_ALIAS, layout.names, converted)


@dataclass(frozen=True, slots=True)
class _Layout:
    """The loaded fields of a model, in the order in which Django expects their values."""

    names: tuple[str, ...]
    columns: tuple[str, ...]
    converters: Mapping[int, Callable[[Any, None, Any], Any]]
    """By the position of the value."""


@cache
def _layout(model: type[models.Model], without: frozenset[str]) -> _Layout:
    fields: list[Any] = [field for field in model._meta.concrete_fields if field.attname not in without]
    return _Layout(
        tuple(field.attname for field in fields),
        tuple(field.column for field in fields),
        {
            position: field.from_db_value
            for position, field in enumerate(fields)
            if hasattr(field, "from_db_value")
        },
    )
