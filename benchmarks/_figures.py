"""The output of the benchmarks: one line of JSON per figure."""

import json
from collections.abc import Sequence
from statistics import median

DIGITS = 4
"""After the point."""


def print_figure(benchmark: str, value: float, unit: str, **more: object) -> None:
    """Print one figure; `more` has its `goal`, or a `peer` and the `ratio` to it."""
    line = {"benchmark": benchmark, "value": round(value, DIGITS), "unit": unit, **more}
    print(json.dumps(line), flush=True)


def print_median(benchmark: str, values: Sequence[float], unit: str, **more: object) -> None:
    """Print the median of several rounds, with the lowest and the highest as its `spread`."""
    spread = [round(min(values), DIGITS), round(max(values), DIGITS)]
    print_figure(benchmark, median(values), unit, spread=spread, **more)
