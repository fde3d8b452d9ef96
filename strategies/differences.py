"""Differences between two texts of strategies, line by line."""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

CONTEXT_LINES = 3
MAX_STEPS = 30_000_000
"""Of a comparison, some seconds. Its time grows with the cube of the number of equal lines."""
Opcode = tuple[str, int, int, int, int]


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
    lines: list[DiffLine] = []
    for group in _grouped_opcodes(before, after):
        if lines:
            lines.append(DiffLine("gap", ""))
        for tag, old, old_end, new, new_end in group:
            if tag == "equal":
                lines += _same(before, range(old, old_end), new)
                continue
            lines += [DiffLine("del", before[at], at + 1) for at in range(old, old_end)]
            lines += [DiffLine("add", after[at], None, at + 1) for at in range(new, new_end)]
    return lines


def _grouped_opcodes(before: list[str], after: list[str]) -> Iterable[Sequence[Opcode]]:
    """Return opcodes as difflib does. A change that would take too long to take apart is one replacement."""
    start, rest = _common_ends(before, after)
    old_end, new_end = len(before) - rest, len(after) - rest
    if _count_steps(before[start:old_end], after[start:new_end]) <= MAX_STEPS:
        return difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_grouped_opcodes(CONTEXT_LINES)
    first, shown = max(0, start - CONTEXT_LINES), min(rest, CONTEXT_LINES)
    return [
        [
            ("equal", first, start, first, start),
            ("replace", start, old_end, start, new_end),
            ("equal", old_end, old_end + shown, new_end, new_end + shown),
        ]
    ]


def _common_ends(before: list[str], after: list[str]) -> tuple[int, int]:
    """Return how many lines are equal at the start, and how many of the others at the end."""
    most = min(len(before), len(after))
    start = next((at for at in range(most) if before[at] != after[at]), most)
    most -= start
    return start, next((at for at in range(most) if before[-1 - at] != after[-1 - at]), most)


def _count_steps(before: list[str], after: list[str]) -> int:
    """Return a bound of the steps of difflib: for each block of equal lines it visits all pairs of equal lines."""
    new = Counter(after)
    pairs = sum(number * new[line] for line, number in Counter(before).items())
    return min(len(before), len(after), pairs) * (len(before) + pairs)


def _same(before: list[str], places: range, new: int) -> Iterator[DiffLine]:
    for offset, at in enumerate(places):
        yield DiffLine("same", before[at], at + 1, new + offset + 1)
