"""JSON pointers (RFC 6901) into the values of a strategy file."""

from collections.abc import Iterator, Mapping
from typing import Any

from workers.strategy.errors import pointer


class NoSuchValue(KeyError):
    """The pointer leads to no value."""


def parts_of(at: str) -> list[str]:
    """Split a pointer. Raises NoSuchValue if it does not start with a slash."""
    if not at.startswith("/"):
        raise NoSuchValue(at)
    return [part.replace("~1", "/").replace("~0", "~") for part in at[1:].split("/")]


def value_at(values: Any, at: str) -> Any:
    """Return the value that `at` leads to. Raises NoSuchValue."""
    for part in parts_of(at):
        values = values[_key(values, part, at)]
    return values


def replace_values(values: Any, changes: Mapping[str, Any]) -> Any:
    """Return a copy of `values` with another value at each pointer. Raises NoSuchValue."""
    for at, value in changes.items():
        values = _replace(values, parts_of(at), freeze(value), at)
    return values


def _replace(values: Any, parts: list[str], value: Any, at: str) -> Any:
    if not parts:
        return value
    key = _key(values, parts[0], at)
    inner = _replace(values[key], parts[1:], value, at)
    if isinstance(values, dict):
        return {**values, key: inner}
    return (*values[:key], inner, *values[key + 1 :])


def _key(values: Any, part: str, at: str) -> Any:
    if isinstance(values, dict) and part in values:
        return part
    if isinstance(values, tuple) and part.isascii() and part.isdigit() and int(part) < len(values):
        return int(part)
    raise NoSuchValue(at)


def all_pointers(values: Any, *path: str | int) -> Iterator[str]:
    """Return the pointer of every value below `values`."""
    entries = values.items() if isinstance(values, dict) else enumerate(values)
    for key, value in entries:
        yield pointer(*path, key)
        if isinstance(value, dict | tuple):
            yield from all_pointers(value, *path, key)


def freeze(value: Any) -> Any:
    """Return JSON values as a file contains them: lists become tuples."""
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    if isinstance(value, dict):
        return {key: freeze(item) for key, item in value.items()}
    return value


def thaw(value: Any) -> Any:
    """Return values of a file as JSON has them: tuples become lists."""
    if isinstance(value, list | tuple):
        return [thaw(item) for item in value]
    if isinstance(value, dict):
        return {key: thaw(item) for key, item in value.items()}
    return value
