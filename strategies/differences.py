"""Differences between two texts of strategies, line by line."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

CONTEXT_LINES = 3


@dataclass(frozen=True, slots=True)
class DiffLine:
    kind: Literal["same", "add", "del", "gap"]
    text: str
    old: int | None = None
    """Line number in the older text."""
    new: int | None = None


def diff_lines(older: str, newer: str) -> list[DiffLine]:
    """Return the lines that differ, with `CONTEXT_LINES` around each change; "gap" stands for lines left out between."""
    before, after = older.splitlines(), newer.splitlines()
    matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
    lines: list[DiffLine] = []
    for group in matcher.get_grouped_opcodes(CONTEXT_LINES):
        if lines:
            lines.append(DiffLine("gap", ""))
        for tag, old, old_end, new, new_end in group:
            if tag == "equal":
                lines += _same(before, range(old, old_end), new)
                continue
            lines += [DiffLine("del", before[at], at + 1) for at in range(old, old_end)]
            lines += [DiffLine("add", after[at], None, at + 1) for at in range(new, new_end)]
    return lines


def _same(before: list[str], places: range, new: int) -> Iterator[DiffLine]:
    for offset, at in enumerate(places):
        yield DiffLine("same", before[at], at + 1, new + offset + 1)
