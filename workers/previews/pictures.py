"""Draw the pictures of the example strategies from real bars: `python -m workers.previews.pictures BARS.csv STRATEGIES`.

`BARS.csv` holds daily bars with the columns Date, Open, High, Low, Close and Volume. The pictures have no colours
of their own: the style sheet of the page gives them those of the theme.
"""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from workers.backtesting.condition_decisions import decide
from workers.previews.curves import Curves, compute_curves
from workers.strategy.grammar import RulesStrategy, Strategy, parse_strategy

Floats = npt.NDArray[np.float64]
BARS_SHOWN = 160
WIDTH, PRICE_HEIGHT, LOWER_HEIGHT = 320, 110, 40
MAX_OVERLAYS, MAX_LOWER = 3, 3


def read_csv(path: Path) -> pd.DataFrame:
    """Return daily bars with an index in UTC, from the layout of Yahoo."""
    table = pd.read_csv(path, parse_dates=["Date"])
    index = pd.DatetimeIndex(table["Date"], tz="UTC", name="time")
    columns = ["open", "high", "low", "close", "volume"]
    bars = pd.DataFrame({name: table[name.title()].to_numpy(np.float64) for name in columns}, index=index)
    bars.attrs["calendar"] = "XNYS"
    return bars


def draw(strategy: Strategy, bars: pd.DataFrame) -> str:
    """Return an SVG of the last bars: price, lines in its range, held positions, and degrees or oscillators below."""
    curves = compute_curves(strategy, {strategy.base_timeframe: bars})
    shown = slice(len(bars) - BARS_SHOWN, len(bars))
    close = bars["close"].to_numpy(np.float64)[shown]
    low, high = float(close.min()), float(close.max())
    margin = 0.15 * (high - low)
    overlays = [
        line[shown]
        for line in curves.indicators.values()
        if low - margin < np.nanmin(line[shown]) and np.nanmax(line[shown]) < high + margin
    ][:MAX_OVERLAYS]
    parts = [
        f'<svg class="picture" viewBox="0 0 {WIDTH} {PRICE_HEIGHT + LOWER_HEIGHT + 8}" aria-hidden="true">'
    ]
    if isinstance(strategy, RulesStrategy):
        held = decide(strategy, curves.inputs)[shown]
        parts += [
            _band(start, stop, direction) for start, stop, direction in _stretches(held) if direction != 0
        ]
    everything = np.concatenate([close, *overlays])
    low, high = float(np.nanmin(everything)), float(np.nanmax(everything))
    parts += [
        _line(line, low, high, 0, PRICE_HEIGHT, f"picture-{place}") for place, line in enumerate(overlays, 1)
    ]
    parts.append(_line(close, low, high, 0, PRICE_HEIGHT, "picture-price"))
    for place, line in enumerate(_lower(curves, shown), 1):
        parts.append(
            _line(
                line,
                float(np.nanmin(line)),
                float(np.nanmax(line)),
                PRICE_HEIGHT + 8,
                LOWER_HEIGHT,
                f"picture-{place}",
            )
        )
    return "".join([*parts, "</svg>\n"])


def _lower(curves: Curves, shown: slice) -> list[Floats]:
    """Return the degrees of the first fuzzy set, or else the first indicator."""
    lines = (
        list(next(iter(curves.fuzzy.values())).values())
        if curves.fuzzy
        else list(curves.indicators.values())[:1]
    )
    return [line[shown] for line in lines[:MAX_LOWER] if np.nanmax(line[shown]) > np.nanmin(line[shown])]


def _stretches(held: npt.NDArray[np.int8]) -> list[tuple[int, int, int]]:
    """Return (first, end, direction) of each stretch of equal directions."""
    edges = [0, *(np.flatnonzero(np.diff(held)) + 1).tolist(), len(held)]
    return [(start, stop, int(held[start])) for start, stop in pairwise(edges)]


def _band(start: int, stop: int, direction: int) -> str:
    step = WIDTH / (BARS_SHOWN - 1)
    look = "picture-long" if direction > 0 else "picture-short"
    return (
        f'<rect class="{look}" x="{start * step:.1f}" y="0" width="{(stop - start) * step:.1f}" '
        f'height="{PRICE_HEIGHT}"/>'
    )


def _line(values: Floats, low: float, high: float, top: int, height: int, look: str) -> str:
    span = (high - low) or 1.0
    points = " ".join(
        f"{place * WIDTH / (BARS_SHOWN - 1):.1f},{top + height - (value - low) / span * height:.1f}"
        for place, value in enumerate(values)
        if not np.isnan(value)
    )
    return f'<polyline class="{look}" points="{points}"/>'


def main() -> None:
    bars, folder = read_csv(Path(sys.argv[1])), Path(sys.argv[2])
    for path in sorted(folder.glob("*.yaml")):
        target = folder / "pictures" / f"{path.stem}.svg"
        target.write_text(draw(parse_strategy(path.read_text()), bars))


if __name__ == "__main__":
    main()
