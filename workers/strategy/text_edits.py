"""Change single values in the text of a strategy file; comments, spelling and order of everything else stay.

Positions come from PyYAML's nodes, and only the characters of the changed value are replaced. Each change is verified:
the new text must read as the old values with this one changed. A library that writes the whole document again
(ruamel.yaml) attaches the comments before a section to the last value above it, and drops both together.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from workers.strategy.document import read_document
from workers.strategy.errors import StrategyError
from workers.strategy.nested_values import MISSING, Path, find_value, with_value, without_value
from workers.strategy.text_positions import (
    after_indicator,
    compose,
    dash_of,
    end_of_content,
    entry_of,
    find_key_node,
    find_node,
    index_of,
    is_in_flow,
    next_comma,
    start_of_next_line,
)
from workers.strategy.text_spelling import block_scalar, block_value, flow_value, inline_value


class EditError(ValueError):
    """The change cannot be made without touching other parts of the text."""


def set_values(text: str, values: Mapping[Path, Any]) -> str:
    """Return `text` with these values set, missing sections included. Sequences are tuples.

    Raises `StrategyError` if `text` cannot be read, and `EditError`.
    """
    data = read_document(text).data
    scalars = {path: value for path, value in values.items() if _is_scalar(find_value(data, path), value)}
    if scalars:
        text = _set_scalars(text, data, scalars)
    for path, value in values.items():
        if path not in scalars:
            text = _set_other(text, path, value)
    return text


def remove_value(text: str, path: Path) -> str:
    """Return `text` without the value at `path`, its key and the comments inside it.

    Raises `StrategyError` if `text` cannot be read, and `EditError`.
    """
    data = read_document(text).data
    if not path or find_value(data, path) is MISSING:
        raise EditError("the text has no such value")
    expected = without_value(data, path)
    return _first_that_reads_as(expected, _removals(text, compose(text), path))


def _set_scalars(text: str, data: Any, values: Mapping[Path, Any]) -> str:
    """Replace scalars of a text with the values `data` by scalars, all at once."""
    root = compose(text)
    nodes = {path: find_node(root, path) for path in values}
    for path, value in values.items():
        data = with_value(data, path, value)
    placed = sorted(values.items(), key=lambda item: -nodes[item[0]].start_mark.index)

    def write_scalars(*, keep_style: bool) -> str:
        new = text
        for path, value in placed:
            node = nodes[path]
            start, end = node.start_mark.index, node.end_mark.index
            is_flow = is_in_flow(root, path)
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
    old = find_value(data, path)
    if isinstance(old, tuple) and isinstance(value, tuple) and old and value:
        return _set_list(text, path, old, value)
    root = compose(text)
    if old is not MISSING:
        return _first_that_reads_as(with_value(data, path, value), _replacements(text, root, path, value))
    known = next(n for n in range(len(path) - 1, -1, -1) if find_value(data, path[:n]) is not MISSING)
    for key in reversed(path[known + 1 :]):
        value = {key: value}
    if find_value(data, path[:known]) is None:
        return _set_other(text, path[:known], {path[known]: value})
    parent = find_node(root, path[:known])
    if not isinstance(parent, MappingNode | SequenceNode):
        raise EditError("a single value is where a section or list is needed")
    expected = with_value(data, path[: known + 1], value)
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
    node = find_node(root, path)
    start, end = node.start_mark.index, end_of_content(text, node)
    is_block = isinstance(node, CollectionNode) and not node.flow_style
    if is_block and path:
        start = after_indicator(text, root, path)
    space = " " if text[start - 1 : start] in (":", "-") else ""
    yield text[:start] + space + flow_value(value) + text[end:]


def _additions(
    text: str, root: Node, path: Path, parent: CollectionNode, key: str | int, value: Any
) -> Iterator[str]:
    """Yield the text with one more entry at the end of a section or list."""
    is_list = isinstance(parent, SequenceNode)
    if parent.flow_style or is_in_flow(root, path):
        entry = flow_value(value) if is_list else flow_value({key: value})[1:-1]
        end = end_of_content(text, entry_of(parent.value[-1])[1]) if parent.value else 0
        at = end or parent.start_mark.index + 1
        yield f"{text[:at]}{', ' if end else ''}{entry}{text[at:]}"
        if not parent.value and not is_list and isinstance(key, str) and path:
            # `indicators: {}` gets its first entry below it.
            column = find_key_node(root, path).start_mark.column + 2
            start, after = parent.start_mark.index, parent.end_mark.index
            block = block_value({key: value}, column)
            yield f"{text[:start].rstrip(' ')}\n{block.rstrip()}{text[after:]}"
        return
    block = block_value([value] if is_list else {key: value}, parent.start_mark.column)
    at = start_of_next_line(text, end_of_content(text, parent))
    before = "" if not at or text[at - 1] == "\n" else "\n"
    gap = "\n" if not path and isinstance(value, dict) else ""
    yield f"{text[:at]}{before}{gap}{block}{text[at:]}"


def _removals(text: str, root: Node, path: Path) -> Iterator[str]:
    """Yield the text without an entry of a section or list."""
    parent = find_node(root, path[:-1])
    assert isinstance(parent, CollectionNode)
    entries = [entry_of(child) for child in parent.value]
    place = index_of(parent, path[-1])
    if parent.flow_style:
        yield from _removals_in_flow(text, entries, place)
    elif len(entries) > 1:
        yield from _removals_in_block(text, parent, entries, place)
    else:
        yield from _removals_of_only_entry(text, root, path[:-1], parent)


def _removals_in_flow(text: str, entries: list[tuple[Node, Node]], place: int) -> Iterator[str]:
    first, value = entries[place]
    start, end = first.start_mark.index, end_of_content(text, value)
    if place:
        end_before = end_of_content(text, entries[place - 1][1])
        comma = next_comma(text, end_before)
        yield text[:comma] + text[comma + 1 : start].rstrip(" ") + text[end:]
        yield text[:end_before] + text[end:]
    elif len(entries) > 1:
        comma = next_comma(text, end)
        yield text[:start] + text[comma + 1 :].lstrip(" ")
        yield text[:start] + text[entries[1][0].start_mark.index :]
    else:
        yield text[:start] + text[end:]


def _removals_in_block(
    text: str, parent: CollectionNode, entries: list[tuple[Node, Node]], place: int
) -> Iterator[str]:
    first, value = entries[place]
    end = end_of_content(text, value)
    is_list = isinstance(parent, SequenceNode)
    start = dash_of(text, parent, place) if is_list else first.start_mark.index
    line = text.rfind("\n", 0, start) + 1
    if not text[line:start].strip():
        yield text[:line] + text[start_of_next_line(text, end) :]
    if not is_list:  # the first key after a dash
        next_line = text.find("\n", end)
        yield text[:start].rstrip(" ") + (text[next_line:] if next_line >= 0 else "")
    elif place + 1 < len(entries):
        yield text[:start] + text[dash_of(text, parent, place + 1) :]


def _removals_of_only_entry(text: str, root: Node, path: Path, parent: CollectionNode) -> Iterator[str]:
    """Yield the text with an empty section or list at `path`."""
    first, value = entry_of(parent.value[0])
    end = end_of_content(text, value)
    empty = "{}" if isinstance(parent, MappingNode) else "[]"
    at = after_indicator(text, root, path) if path else 0
    line = text.rfind("\n", 0, first.start_mark.index) + 1
    after = start_of_next_line(text, end)
    if not at:
        yield f"{text[:line]}{empty}\n{text[after:]}"
    elif line > at:
        yield f"{text[:at]} {empty}{text[at:line]}{text[after:]}"
    yield f"{text[:at]} {empty}{text[end:]}"


def _first_that_reads_as(expected: Any, candidates: Iterator[str]) -> str:
    """Return the first candidate that has these values in this order and with these types."""
    for candidate in candidates:
        try:
            if repr(read_document(candidate).data) == repr(expected):
                return candidate
        except StrategyError:
            continue
    raise EditError("this change needs the text editor")


def _is_scalar(old: Any, new: Any) -> bool:
    return old is not MISSING and not isinstance(old, dict | tuple) and not isinstance(new, dict | tuple)
