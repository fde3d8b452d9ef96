"""The spread between bid and ask of each bar, as a fraction of the price."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting.engine_rules import MAX_COST, BadBars, Rules

Floats = NDArray[np.float64]


def data_spread(bars: pd.DataFrame, rules: Rules) -> Floats | None:
    """Return the spread that the data contain, float64[n]; None if they contain none.

    It is `ask` - `bid`, or else the column `spread`, both in price units. The price is the one at which orders are
    filled: the open (`next_open`) or the close, so that the spread is known when it is paid. Raises BadBars.
    """
    if {"bid", "ask"} <= set(bars.columns):
        in_price = bars["ask"].to_numpy(np.float64) - bars["bid"].to_numpy(np.float64)
    elif "spread" in bars.columns:
        in_price = bars["spread"].to_numpy(np.float64)
    else:
        return None
    price = bars["open" if rules.fill == "next_open" else "close"].to_numpy(np.float64)
    return validate_spread(in_price / price, bars.index)


def validate_spread(spread: Floats, times: pd.Index) -> Floats:
    """Return float64[n] fractions of the price unchanged. Raises BadBars."""
    if spread.shape != (len(times),):
        raise BadBars(f"Expected one spread per bar, {len(times)}; got an array of shape {spread.shape}.")
    bad = ~((spread >= 0.0) & (spread <= MAX_COST))
    if not bad.any():
        return spread
    first = int(bad.argmax())
    if spread[first] > MAX_COST:
        raise BadBars(
            f"The spread of the bar at {times[first]} is {100 * spread[first]:,.0f} % of its price: it is probably in points; "
            "import the data with the spread in price units, or set `spread` in the request."
        )
    raise BadBars(
        f"The spread of the bar at {times[first]} is {spread[first]:g} of its price; it must be zero or more, "
        "so correct the data or set `spread` in the request."
    )
