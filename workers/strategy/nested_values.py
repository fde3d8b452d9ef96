"""Values inside the values of a strategy file, reached by a path. Sections are dictionaries, and lists are tuples."""

from typing import Any

Path = tuple[str | int, ...]
"""Keys and positions that lead to a value."""
MISSING = object()


def find_value(data: Any, path: Path, default: Any = MISSING) -> Any:
    """Return the value at `path`, or `default`."""
    for key in path:
        match data:
            case dict() if key in data:
                data = data[key]
            case tuple() if isinstance(key, int) and key < len(data):
                data = data[key]
            case _:
                return default
    return data


def with_value(data: Any, path: Path, value: Any) -> Any:
    """Return a copy with this value at `path`; missing sections are created, and a list can grow by one item."""
    if not path:
        return value
    key, *rest = path
    if isinstance(data, tuple):
        assert isinstance(key, int)
        items = [*data] if key < len(data) else [*data, None]
        items[key] = with_value(items[key], tuple(rest), value)
        return tuple(items)
    inside = data.get(key) if isinstance(data, dict) else None
    return {**(data or {}), key: with_value(inside, tuple(rest), value)}


def without_value(data: Any, path: Path) -> Any:
    """Return a copy without the value at `path`, which exists."""
    key, *rest = path
    if rest:
        return with_value(data, (key,), without_value(data[key], tuple(rest)))
    if isinstance(data, tuple):
        return tuple(item for place, item in enumerate(data) if place != key)
    return {name: item for name, item in data.items() if name != key}
