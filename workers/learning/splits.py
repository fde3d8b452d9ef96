"""Split rows into training, validation and test by time, for all symbols at once, purged and embargoed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput
from workers.learning.folds import END_OF_TIME, rows_within

Nanoseconds = NDArray[np.int64]
PARTS = ("train", "validation", "test")


class TooShort(InvalidInput):
    """A part of the split is empty; use more data or a shorter label window."""


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of each part, in the order of the rows."""

    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]
    purged: int
    """Number of rows left out because their label reaches into the next part, or their time is in the embargo."""
    boundaries: tuple[int, ...]
    """First time of each part, in nanoseconds since 1970."""


def purged_split(time: Nanoseconds, end: Nanoseconds, fractions: Sequence[float], embargo: int = 0) -> Split:
    """Split rows at times that are the same for every symbol (Lopez de Prado 2018, ch. 7). Raises TooShort.

    `time`, `end`: int64[n], nanoseconds of each row's bar and of the last bar its label depends on, including the bar
    of the entry at the next open. A row belongs to the part of its time; it is left out if its label reaches the
    first time of the next part. After each boundary `embargo` distinct times are left out as well.
    `fractions`: of train, validation and test.
    """
    if len(time) == 0:
        raise TooShort("Nothing to split: no bar has both inputs and a label.")
    times = np.unique(time)
    edges = np.round(np.cumsum(np.asarray(fractions, dtype=np.float64))[:-1] * len(times)).astype(int)
    starts = [int(times[0]), *(int(times[min(edge, len(times) - 1)]) for edge in edges)]
    opens = [starts[0], *(int(times[min(edge + embargo, len(times) - 1)]) for edge in edges)]
    last = int(np.flatnonzero(np.asarray(fractions) > 0)[-1])
    ends = [*starts[1:], END_OF_TIME]
    ends[last:] = [END_OF_TIME] * (len(ends) - last)
    parts = []
    for part, fraction in enumerate(fractions):
        if fraction == 0:
            parts.append(np.empty(0, dtype=np.intp))
            continue
        parts.append(rows_within(time, end, opens[part], ends[part]))
        if len(parts[-1]) == 0:
            raise TooShort(
                f"The {PARTS[part]} part is empty: {len(times)} bars are too few for label windows of this length."
            )
    used = sum(len(part) for part in parts)
    return Split(parts[0], parts[1], parts[2], len(time) - used, tuple(starts))
