"""The spelling of values in a strategy file: in one line, in braces and brackets, or as lines below a key."""

import re
import textwrap
from typing import Any

import yaml

from workers.strategy.document import FileWriter, write_document

WIDTH = 100
_ENDLESS = 1_000_000
_PLAIN_HEADER = re.compile(r"[>|]-?[ \t]*(#.*)?")


def inline_value(value: Any, *, is_flow: bool) -> str:
    """Return a scalar in one line; inside braces and brackets more texts need quotes."""
    style = '"' if isinstance(value, str) and "\n" in value else None
    written = yaml.dump(
        [value] if is_flow else {"k": value},
        Dumper=FileWriter,
        default_flow_style=is_flow,
        default_style=style,
        allow_unicode=True,
        width=_ENDLESS,
    ).rstrip("\n")
    return written[1:-1] if is_flow else written.partition(":")[2].strip()


def flow_value(value: Any) -> str:
    """Return a value in braces and brackets, or a scalar, that fits into one line."""
    match value:
        case dict():
            pairs = (f"{flow_value(key)}: {flow_value(item)}" for key, item in value.items())
            return "{" + ", ".join(pairs) + "}"
        case tuple() | list():
            return "[" + ", ".join(map(flow_value, value)) + "]"
    return inline_value(value, is_flow=True)


def block_value(value: Any, column: int) -> str:
    """Return a section, or a list with one item, as lines that start at `column`; ends with a newline."""
    if isinstance(value, list):
        item = value[0]
        if not isinstance(item, dict):
            return textwrap.indent(f"- {flow_value(item)}\n", " " * column)
        lines = textwrap.indent(write_document(item), "  ")
        return textwrap.indent(f"- {lines[2:]}", " " * column)
    return textwrap.indent(write_document(value), " " * column)


def block_scalar(old: str, value: str) -> str:
    """Return `value` in the style of `old`, a text that starts with `>` or `|`, without its last newlines.

    Empty if the style cannot hold the value.
    """
    header, _, content = old.partition("\n")
    if not _PLAIN_HEADER.fullmatch(header) or not content.strip() or not value.strip():
        return ""
    indent = re.match(r"\n* *", content)
    assert indent is not None
    margin = indent[0].rpartition("\n")[2]
    body = value.rstrip("\n")
    if header.startswith(">"):
        lines = textwrap.wrap(
            body, max(WIDTH - len(margin), 40), break_long_words=False, break_on_hyphens=False
        )
    else:
        lines = body.split("\n")
    return "\n".join([header, *(margin + line if line else "" for line in lines)])
