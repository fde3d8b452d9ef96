"""Degrees of membership in a fuzzy set (Zadeh 1965)."""

import numba
import numpy as np

from workers.strategy.indicators.columns import Floats
from workers.strategy.sections.model_inputs import Membership


def degrees(values: Floats, membership: Membership) -> Floats:
    """Return the degree in [0, 1] of each of `values`; float64[n], NaN where the value is NaN."""
    corners = membership.parameters
    match membership.type:
        case "gaussian":
            centre, sigma = corners
            curve: Floats = np.exp(-0.5 * np.square((values - centre) / sigma))
            return curve
        case "triangular":
            left, peak, right = corners
            return _trapezoid(values, left, peak, peak, right)
        case "trapezoidal":
            return _trapezoid(values, *corners)


@numba.njit(cache=True)
def _trapezoid(values: Floats, a: float, b: float, c: float, d: float) -> Floats:
    """0 outside (a, d), 1 from b to c, linear between; a vertical side (a = b or c = d) includes its foot."""
    degree = np.empty(len(values))
    for i in range(len(values)):
        x = values[i]
        if np.isnan(x):
            degree[i] = np.nan
        elif b <= x <= c:
            degree[i] = 1.0
        elif a < x < b:
            degree[i] = (x - a) / (b - a)
        elif c < x < d:
            degree[i] = (d - x) / (d - c)
        else:
            degree[i] = 0.0
    return degree
