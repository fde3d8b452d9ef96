"""Training, validation and test by time, over all symbols at once, purged and embargoed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput

Moments = NDArray[np.int64]
PARTS = ("train", "validation", "test")


class TooShort(InvalidInput):
    """The data leave a part of the split empty."""


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of each part, in the order of the rows given."""

    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]
    purged: int
    """Rows left out because their label looks into the next part, or their time lies in the embargo."""
    boundaries: tuple[int, ...]
    """First moment of each part, in nanoseconds since 1970."""


def purged_split(time: Moments, end: Moments, fractions: Sequence[float], embargo: int = 0) -> Split:
    """Splits rows at moments, the same for every symbol (Lopez de Prado 2018, ch. 7).

    `time`, `end`: int64[n], nanoseconds of each row's bar and of the last bar its label looks at, the bar of the
    entry at the next open included. A row belongs to the part of its time; it is left out where its label reaches
    the next part's first moment. After each boundary `embargo` distinct moments are left out as well.
    `fractions`: of train, validation and test. Raises TooShort.
    """
    if len(time) == 0:
        raise TooShort("There is no row to split.")
    moments = np.unique(time)
    edges = np.round(np.cumsum(np.asarray(fractions, dtype=np.float64))[:-1] * len(moments)).astype(int)
    starts = [int(moments[0]), *(int(moments[min(edge, len(moments) - 1)]) for edge in edges)]
    opens = [starts[0], *(int(moments[min(edge + embargo, len(moments) - 1)]) for edge in edges)]
    ends = [*starts[1:], np.iinfo(np.int64).max]
    last = int(np.flatnonzero(np.asarray(fractions) > 0)[-1])
    ends[last:] = [np.iinfo(np.int64).max] * (len(ends) - last)
    parts = []
    for part, fraction in enumerate(fractions):
        if fraction == 0:
            parts.append(np.empty(0, dtype=np.intp))
            continue
        chosen = (time >= opens[part]) & (time < ends[part]) & (end < ends[part])
        parts.append(np.flatnonzero(chosen))
        if len(parts[-1]) == 0:
            raise TooShort(
                f"No row is left for the {PARTS[part]} part: {len(moments)} bars are too few for windows of this length."
            )
    used = sum(len(part) for part in parts)
    return Split(parts[0], parts[1], parts[2], len(time) - used, tuple(starts))
