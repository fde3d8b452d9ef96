"""The spread of each bar, in price."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from workers.market_data.errors import MarketDataError
from workers.market_data.reader.layouts import Layout
from workers.market_data.reader.numerals import Marks, parse_numbers
from workers.market_data.row_errors import Lines, reject_rows

Floats = npt.NDArray[np.float64]

_IMPLAUSIBLE = 0.05
"""Share of the price: no market has such a spread, so it is in points."""
_MATERIAL = 0.001
"""Share of the price from which a spread of whole numbers, beside prices with decimals, must not be guessed."""


def read_spread(by_role: Mapping[str, pa.ChunkedArray], marks: Marks, lines: Lines) -> Floats | None:
    """Return the spread as the file has it, from its column or from bid and ask; float64[n]."""
    if "spread" in by_role:
        spread = parse_numbers(by_role["spread"], marks, lines, "spread")
    elif "bid" in by_role and "ask" in by_role:
        bid, ask = (parse_numbers(by_role[role], marks, lines, role) for role in ("bid", "ask"))
        spread = ask - bid
    else:
        return None
    reject_rows(~(spread >= 0.0), lines, "spread is missing or negative")
    return spread


def in_price(
    spread: Floats, close: Floats, layout: Layout, point_size: float | None, decimals: int
) -> tuple[Floats, list[str]]:
    """Convert a column of spreads in points to price, by the point size or the decimals of the prices. Returns notes.

    `spread` is not of quotes, which are prices. Raises `MarketDataError` for a spread in points without a point size, one
    that may be in points or in price, and one that no market has.
    """
    is_whole = bool((spread == np.rint(spread)).all()) and bool(spread.any())
    notes = []
    if point_size is not None:
        spread = spread * point_size
        notes.append(f"spread in points of {point_size:g} converted to price")
    elif layout.has_points and is_whole:
        point = 10.0**-decimals
        # Correctly rounded, unlike 12 * 1e-05.
        spread = np.asarray(spread / 10.0**decimals)
        notes.append(f"spread in points of {point:g}, the last decimal of the prices, converted to price")
    elif is_whole and np.median(spread / close) > _IMPLAUSIBLE:
        raise MarketDataError(
            f"the spread ({np.median(spread):g}) is in points, not in price: set point_size to the price of a point, "
            f"probably {10.0**-decimals:g}"
        )
    elif is_whole and decimals:
        notes.append(_note_of_whole(spread, close, decimals))
    check_plausible(spread, close)
    return spread, notes


def _note_of_whole(spread: Floats, close: Floats, decimals: int) -> str:
    """Return the note about whole numbers that are taken for prices. Raises `MarketDataError` if they cost much."""
    point = 10.0**-decimals
    if np.median(spread / close) > _MATERIAL:
        raise MarketDataError(
            f"the spread ({np.median(spread):g}) has whole numbers but the prices have decimals, so it may be in points: set "
            f"point_size to the price of a point, probably {point:g}, or to 1 if the spread is in price"
        )
    return f"assumed that the spread is in price; if it is in points, set point_size, probably to {point:g}"


def check_plausible(spread: Floats, close: Floats) -> None:
    """Raises `MarketDataError` for a spread that no market has; both in price."""
    share = float(np.median(spread / close))
    if share > _IMPLAUSIBLE:
        raise MarketDataError(
            f"the spread is {share:.0%} of the price, which no market has: set point_size to the price of a point"
        )
