"""Positions of values in the text of a strategy file, from PyYAML's nodes."""

from typing import Any

import yaml
from yaml.nodes import CollectionNode, Node, ScalarNode, SequenceNode

from workers.strategy.nested_values import Path


def compose(text: str) -> Node:
    """Return the root of a text that `read_document` can read."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert root is not None
    return root


def entry_of(child: Any) -> tuple[Node, Node]:
    """Return where an entry of a section or list starts, and its value."""
    return child if isinstance(child, tuple) else (child, child)


def index_of(parent: Node, key: str | int) -> int:
    if isinstance(key, int):
        return key
    return next(place for place, (name, _) in enumerate(parent.value) if name.value == key)


def find_node(node: Node, path: Path) -> Node:
    for key in path:
        node = entry_of(node.value[index_of(node, key)])[1]
    return node


def find_key_node(root: Node, path: Path) -> Node:
    parent = find_node(root, path[:-1])
    return entry_of(parent.value[index_of(parent, path[-1])])[0]


def is_in_flow(root: Node, path: Path) -> bool:
    return any(getattr(find_node(root, path[:depth]), "flow_style", False) for depth in range(len(path)))


def end_of_content(text: str, node: Node) -> int:
    """Return the end of the last value, before the comments and empty lines after it."""
    if isinstance(node, CollectionNode) and not node.flow_style:
        return end_of_content(text, entry_of(node.value[-1])[1])
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(node, ScalarNode) and node.style in (">", "|"):
        content = text[start:end]
        return end if "+" in content.partition("\n")[0] else start + len(content.rstrip())
    return int(end)


def start_of_next_line(text: str, index: int) -> int:
    if index and text[index - 1] == "\n":
        return index
    line_end = text.find("\n", index)
    return len(text) if line_end < 0 else line_end + 1


def after_indicator(text: str, root: Node, path: Path) -> int:
    """Return the position after the colon or the dash before a value."""
    parent = find_node(root, path[:-1])
    if isinstance(parent, SequenceNode):
        return dash_of(text, parent, int(path[-1])) + 1
    return text.index(":", find_key_node(root, path).end_mark.index) + 1


def dash_of(text: str, parent: Node, place: int) -> int:
    """Return the position of the dash of an item of a list in block style."""
    if not place:
        return int(parent.start_mark.index)
    before = end_of_content(text, parent.value[place - 1])
    return text.rindex(
        "\n" + " " * parent.start_mark.column + "-", before, parent.value[place].start_mark.index
    ) + (parent.start_mark.column + 1)


def next_comma(text: str, index: int) -> int:
    """Return the position of the first comma that is not in a comment."""
    while text[index] != ",":
        index = text.index("\n", index) if text[index] == "#" else index + 1
    return index
