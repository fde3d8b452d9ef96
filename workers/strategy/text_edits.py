"""Change single values in the text of a strategy file; comments, spelling and order of everything else stay.

Positions come from PyYAML's nodes, and only the characters of the changed value are replaced. Each change is verified:
the new text must read as the old values with this one changed. A library that writes the whole document again
(ruamel.yaml) attaches the comments before a section to the last value above it, and drops both together.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from workers.strategy.document import read_document
from workers.strategy.errors import StrategyError
from workers.strategy.text_spelling import block_scalar, block_value, flow_value, inline_value

Path = tuple[str | int, ...]
"""Keys and positions that lead to a value."""


class EditError(ValueError):
    """The change cannot be made without touching other parts of the text."""


def set_values(text: str, values: Mapping[Path, Any]) -> str:
    """Return `text` with these values set, missing sections included. Sequences are tuples.

    Raises `StrategyError` if `text` cannot be read, and `EditError`.
    """
    data = read_document(text).data
    scalars = {path: value for path, value in values.items() if _is_scalar(_value_at(data, path), value)}
    text = _set_scalars(text, scalars)
    for path, value in values.items():
        if path not in scalars:
            text = _set_other(text, path, value)
    return text


def remove_value(text: str, path: Path) -> str:
    """Return `text` without the value at `path`, its key and the comments inside it.

    Raises `StrategyError` if `text` cannot be read, and `EditError`.
    """
    data = read_document(text).data
    if not path or _value_at(data, path) is _MISSING:
        raise EditError("the text has no such value")
    expected = _without(data, path)
    parent = _find(_compose(text), path[:-1])
    assert isinstance(parent, CollectionNode)
    return _first_that_reads_as(expected, _removals(text, parent, _index_of(parent, path[-1]), path))


def _set_scalars(text: str, values: Mapping[Path, Any]) -> str:
    """Replace scalars by scalars, all at once."""
    if not values:
        return text
    data, root = read_document(text).data, _compose(text)
    nodes = {path: _find(root, path) for path in values}
    for path, value in values.items():
        data = _with(data, path, value)
    placed = sorted(values.items(), key=lambda item: -nodes[item[0]].start_mark.index)

    def write_scalars(*, keep_style: bool) -> str:
        new = text
        for path, value in placed:
            node = nodes[path]
            start, end = node.start_mark.index, node.end_mark.index
            is_flow = _is_in_flow(root, path)
            new = new[:start] + _spell_scalar(text, node, value, is_flow, keep_style) + new[end:]
        return new

    return _first_that_reads_as(data, (write_scalars(keep_style=keep) for keep in (True, False)))


def _spell_scalar(text: str, node: Node, value: Any, is_flow: bool, keep_style: bool) -> str:
    start, end = node.start_mark.index, node.end_mark.index
    old = text[start:end]
    space = " " if start == end and text[start - 1 : start] in (":", "-") else ""
    if not old.startswith((">", "|")) or not isinstance(node, ScalarNode) or node.style not in (">", "|"):
        return space + inline_value(value, is_flow=is_flow)
    after = old[len(old.rstrip()) :]
    if keep_style and isinstance(value, str) and (block := block_scalar(old, value)):
        return block + after
    return inline_value(value, is_flow=is_flow) + after


def _set_other(text: str, path: Path, value: Any) -> str:
    """Add a value, or replace one of which the old or the new is a list or a section."""
    data = read_document(text).data
    old = _value_at(data, path)
    if isinstance(old, tuple) and isinstance(value, tuple) and old and value:
        return _set_list(text, path, old, value)
    root = _compose(text)
    if old is not _MISSING:
        return _first_that_reads_as(_with(data, path, value), _replacements(text, root, path, value))
    known = next(n for n in range(len(path) - 1, -1, -1) if _value_at(data, path[:n]) is not _MISSING)
    for key in reversed(path[known + 1 :]):
        value = {key: value}
    if _value_at(data, path[:known]) is None:
        return _set_other(text, path[:known], {path[known]: value})
    parent = _find(root, path[:known])
    if not isinstance(parent, MappingNode | SequenceNode):
        raise EditError("a value without parts is there")
    expected = _with(data, path[: known + 1], value)
    return _first_that_reads_as(expected, _additions(text, root, path[:known], parent, path[known], value))


def _set_list(text: str, path: Path, old: tuple[Any, ...], new: tuple[Any, ...]) -> str:
    """Change the items that differ, and add or remove at the end."""
    for place in range(len(old) - 1, len(new) - 1, -1):
        text = remove_value(text, (*path, place))
    changed = {
        (*path, place): item for place, item in enumerate(new[: len(old)]) if repr(item) != repr(old[place])
    }
    text = set_values(text, changed)
    for place in range(len(old), len(new)):
        text = _set_other(text, (*path, place), new[place])
    return text


def _replacements(text: str, root: Node, path: Path, value: Any) -> Iterator[str]:
    node = _find(root, path)
    start, end = node.start_mark.index, _end_of_content(text, node)
    is_block = isinstance(node, CollectionNode) and not node.flow_style
    if is_block and path:
        start = _after_indicator(text, root, path)
    space = " " if text[start - 1 : start] in (":", "-") else ""
    yield text[:start] + space + flow_value(value) + text[end:]


def _additions(
    text: str, root: Node, path: Path, parent: CollectionNode, key: str | int, value: Any
) -> Iterator[str]:
    """Yield the text with one more entry at the end of a section or list."""
    is_list = isinstance(parent, SequenceNode)
    if parent.flow_style or _is_in_flow(root, path):
        entry = flow_value(value) if is_list else flow_value({key: value})[1:-1]
        end = (
            _end_of_content(text, parent.value[-1] if is_list else parent.value[-1][1]) if parent.value else 0
        )
        at = end or parent.start_mark.index + 1
        yield f"{text[:at]}{', ' if end else ''}{entry}{text[at:]}"
        if not parent.value and not is_list and isinstance(key, str) and path:
            # `indicators: {}` gets its first entry below it.
            column = _find_key(root, path).start_mark.column + 2
            start, after = parent.start_mark.index, parent.end_mark.index
            block = block_value({key: value}, column)
            yield f"{text[:start].rstrip(' ')}\n{block.rstrip()}{text[after:]}"
        return
    block = block_value([value] if is_list else {key: value}, parent.start_mark.column)
    at = _start_of_next_line(text, _end_of_content(text, parent))
    before = "" if not at or text[at - 1] == "\n" else "\n"
    gap = "\n" if not path and isinstance(value, dict) else ""
    yield f"{text[:at]}{before}{gap}{block}{text[at:]}"


def _removals(text: str, parent: CollectionNode, place: int, path: Path) -> Iterator[str]:
    entries = [_entry(child) for child in parent.value]
    first, value = entries[place]
    end = _end_of_content(text, value)
    if parent.flow_style:
        start = first.start_mark.index
        if place:
            comma = _next_comma(text, _end_of_content(text, entries[place - 1][1]))
            yield text[:comma] + text[comma + 1 : start].rstrip(" ") + text[end:]
            yield text[: _end_of_content(text, entries[place - 1][1])] + text[end:]
        elif len(entries) > 1:
            comma = _next_comma(text, end)
            yield text[:start] + text[comma + 1 :].lstrip(" ")
            yield text[:start] + text[entries[1][0].start_mark.index :]
        else:
            yield text[:start] + text[end:]
        return
    if len(entries) == 1:
        empty = "{}" if isinstance(parent, MappingNode) else "[]"
        at = _after_indicator(text, _compose(text), path[:-1]) if path[:-1] else 0
        line = text.rfind("\n", 0, first.start_mark.index) + 1
        after = _start_of_next_line(text, end)
        if not at:
            yield f"{text[:line]}{empty}\n{text[after:]}"
        elif line > at:
            yield f"{text[:at]} {empty}{text[at:line]}{text[after:]}"
        yield f"{text[:at]} {empty}{text[end:]}"
        return
    is_list = isinstance(parent, SequenceNode)
    start = _dash_of(text, parent, place) if is_list else first.start_mark.index
    line = text.rfind("\n", 0, start) + 1
    after = _start_of_next_line(text, end)
    if not text[line:start].strip():
        yield text[:line] + text[after:]
    if not is_list:  # the first key after a dash
        next_line = text.find("\n", end)
        yield text[:start].rstrip(" ") + (text[next_line:] if next_line >= 0 else "")
    elif place + 1 < len(entries):
        yield text[:start] + text[_dash_of(text, parent, place + 1) :]


def _first_that_reads_as(expected: Any, candidates: Iterator[str]) -> str:
    """Return the first candidate that has these values in this order and with these types."""
    for candidate in candidates:
        try:
            if repr(read_document(candidate).data) == repr(expected):
                return candidate
        except StrategyError:
            continue
    raise EditError("this change needs the text editor")


# Positions.


def _compose(text: str) -> Node:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert root is not None
    return root


def _entry(child: Any) -> tuple[Node, Node]:
    """Return where an entry of a section or list starts, and its value."""
    return child if isinstance(child, tuple) else (child, child)


def _index_of(parent: Node, key: str | int) -> int:
    if isinstance(key, int):
        return key
    return next(place for place, (name, _) in enumerate(parent.value) if name.value == key)


def _find(node: Node, path: Path) -> Node:
    for key in path:
        node = _entry(node.value[_index_of(node, key)])[1]
    return node


def _find_key(root: Node, path: Path) -> Node:
    parent = _find(root, path[:-1])
    return _entry(parent.value[_index_of(parent, path[-1])])[0]


def _is_in_flow(root: Node, path: Path) -> bool:
    return any(getattr(_find(root, path[:depth]), "flow_style", False) for depth in range(len(path)))


def _end_of_content(text: str, node: Node) -> int:
    """Return the end of the last value, before the comments and empty lines after it."""
    if isinstance(node, CollectionNode) and not node.flow_style:
        return _end_of_content(text, _entry(node.value[-1])[1])
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(node, ScalarNode) and node.style in (">", "|"):
        content = text[start:end]
        return end if "+" in content.partition("\n")[0] else start + len(content.rstrip())
    return int(end)


def _start_of_next_line(text: str, index: int) -> int:
    if index and text[index - 1] == "\n":
        return index
    line_end = text.find("\n", index)
    return len(text) if line_end < 0 else line_end + 1


def _after_indicator(text: str, root: Node, path: Path) -> int:
    """Return the position after the colon or the dash before a value."""
    parent = _find(root, path[:-1])
    if isinstance(parent, SequenceNode):
        return _dash_of(text, parent, int(path[-1])) + 1
    return text.index(":", _find_key(root, path).end_mark.index) + 1


def _dash_of(text: str, parent: Node, place: int) -> int:
    """Return the position of the dash of an item of a list in block style."""
    if not place:
        return int(parent.start_mark.index)
    before = _end_of_content(text, parent.value[place - 1])
    return text.rindex(
        "\n" + " " * parent.start_mark.column + "-", before, parent.value[place].start_mark.index
    ) + (parent.start_mark.column + 1)


def _next_comma(text: str, index: int) -> int:
    """Return the position of the first comma that is not in a comment."""
    while text[index] != ",":
        index = text.index("\n", index) if text[index] == "#" else index + 1
    return index


# Values.

_MISSING = object()


def _value_at(data: Any, path: Path) -> Any:
    for key in path:
        match data:
            case dict() if key in data:
                data = data[key]
            case tuple() if isinstance(key, int) and key < len(data):
                data = data[key]
            case _:
                return _MISSING
    return data


def _is_scalar(old: Any, new: Any) -> bool:
    return old is not _MISSING and not isinstance(old, dict | tuple) and not isinstance(new, dict | tuple)


def _with(data: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    key, *rest = path
    if isinstance(data, tuple):
        assert isinstance(key, int)
        items = [*data] if key < len(data) else [*data, None]
        items[key] = _with(items[key], tuple(rest), value)
        return tuple(items)
    inside = data.get(key) if isinstance(data, dict) else None
    return {**(data or {}), key: _with(inside, tuple(rest), value)}


def _without(data: Any, path: Path) -> Any:
    key, *rest = path
    if rest:
        return _with(data, (key,), _without(data[key], tuple(rest)))
    if isinstance(data, tuple):
        return tuple(item for place, item in enumerate(data) if place != key)
    return {name: item for name, item in data.items() if name != key}
