"""How rows that spoil a file are named: by their line in it, the first few of them."""

import numpy as np
import numpy.typing as npt

from workers.market_data.errors import MarketDataError

NAMED_ROWS = 5

Flags = npt.NDArray[np.bool_]
Lines = npt.NDArray[np.int64]


def reject_rows(wrong: Flags, lines: Lines, sentence: str, values: npt.ArrayLike | None = None) -> None:
    """Raises `MarketDataError` naming the rows that are `wrong`, where there is one; `values` are shown beside."""
    rows = np.flatnonzero(wrong)
    if not len(rows):
        return
    shown = None if values is None else np.asarray(values, dtype=object)
    names = [
        f"line {lines[row]}" + ("" if shown is None else f" ({shown[row]})") for row in rows[:NAMED_ROWS]
    ]
    more = f" and {len(rows) - NAMED_ROWS} more" if len(rows) > NAMED_ROWS else ""
    raise MarketDataError(f"{sentence}: {', '.join(names)}{more}")
