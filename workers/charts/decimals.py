"""The decimals of an instrument's prices, from the prices themselves."""

import numpy as np
import numpy.typing as npt

MOST_DECIMALS = 10
_SAMPLED = 20_000
_SHARE = 0.999
"""Share of the prices that a tick size must explain; a source may have rounded a few of them differently."""
_MOST_TICKS = 2.0**31
_SIGNIFICANT = 5
"""Digits of prices without a tick size, such as adjusted ones."""

Floats = npt.NDArray[np.float64]


def price_decimals(prices: Floats) -> int:
    """Return the fewest decimals that show the prices (float64[n], above zero) exactly.

    Prices that have no tick size get five significant digits, and at least two decimals.
    """
    if (decimals := exact_decimals(prices)) is not None:
        return decimals
    digits = _SIGNIFICANT - 1 - np.floor(np.log10(np.median(prices)))
    return int(np.clip(digits, 2, MOST_DECIMALS))


def exact_decimals(values: Floats) -> int | None:
    """Return the fewest decimals that show finite values (float64[n]) exactly; None if `MOST_DECIMALS` do not."""
    sample = np.abs(values[:: max(1, len(values) // _SAMPLED)])
    for decimals in range(MOST_DECIMALS + 1):
        ticks = sample * 10.0**decimals
        if float(ticks.max(initial=0.0)) > _MOST_TICKS:
            return None
        # A float64 has 15 digits; what remains beside whole ticks must be its rounding.
        if np.mean(np.abs(ticks - np.round(ticks)) <= np.maximum(ticks * 1e-12, 1e-9)) >= _SHARE:
            return decimals
    return None
