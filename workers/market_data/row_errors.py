"""Reject a file with the line numbers of its first invalid rows."""

import numpy as np
import numpy.typing as npt

from workers.market_data.errors import MarketDataError
from workers.strategy.quoting import shorten

NAMED_ROWS = 5

Flags = npt.NDArray[np.bool_]
Lines = npt.NDArray[np.int64]


def reject_rows(invalid: Flags, lines: Lines, problem: str, values: npt.ArrayLike | None = None) -> None:
    """Raise `MarketDataError` with the lines of the `invalid` rows and their `values`, if there are any."""
    rows = np.flatnonzero(invalid)
    if not len(rows):
        return
    texts = None if values is None else np.asarray(values, dtype=object)
    names = [
        f"line {lines[row]}" + ("" if texts is None else f" ({shorten(str(texts[row]))})")
        for row in rows[:NAMED_ROWS]
    ]
    more = f" and {len(rows) - NAMED_ROWS} more" if len(rows) > NAMED_ROWS else ""
    raise MarketDataError(f"{problem} at {', '.join(names)}{more}")
