"""The tables of a study's report: leaderboard, points, importance of parameters, progress, errors."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.studies.messages import TrialState
from workers.studies.trial_table import TrialTable

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

LEADERS = 200
MAX_POINTS = 2000
MAX_CELLS = 40_000
MAX_PROGRESS = 500
BINS = 8
MAX_ERRORS = 20


def searched_parameters(table: TrialTable) -> list[str]:
    """Return the pointers whose values differ between trials."""
    pointers = list(dict.fromkeys(name for point in table.points for name in point))
    return [name for name in pointers if _differ(repr(point.get(name)) for point in table.points)]


def _differ(texts: Iterator[str]) -> bool:
    """Return whether any text differs from the first one."""
    first = next(texts)
    return any(text != first for text in texts)


def leaderboard(table: TrialTable, ranking: Rows, parameters: Sequence[str]) -> dict[str, Any]:
    """Return the best 200 trials; `parameters` as from `searched_parameters`."""
    return {
        "parameters": list(parameters),
        "rows": [_row(table, int(at), parameters) for at in ranking[:LEADERS]],
    }


def _row(table: TrialTable, at: int, parameters: Sequence[str]) -> dict[str, Any]:
    return {
        "number": int(table.numbers[at]),
        "value": number_or_none(table.values[at]),
        "scores": table.scores[at],
        "point": [table.points[at].get(name) for name in parameters],
        "folds": list(table.folds[at])[:50],
    }


def points(table: TrialTable, ranking: Rows, parameters: Sequence[str], seed: int) -> dict[str, Any]:
    """Return columns of the best 200 trials and a fixed sample of the others, for coordinates and heat maps."""
    limit = max(LEADERS, min(MAX_POINTS, MAX_CELLS // max(1, len(parameters))))
    others = sorted(set(range(len(table.numbers))) - set(ranking[:LEADERS].tolist()), key=_draw(table, seed))
    chosen = [*ranking[:LEADERS].tolist(), *others][:limit]
    return {
        "of": len(table.numbers),
        "number": [int(table.numbers[at]) for at in chosen],
        "value": [number_or_none(table.values[at]) for at in chosen],
        "parameters": {name: [table.points[at].get(name) for at in chosen] for name in parameters},
    }


def _draw(table: TrialTable, seed: int) -> Any:
    return lambda at: hashlib.sha256(f"{seed}/points/{table.numbers[at]}".encode()).digest()


def importance(table: TrialTable, parameters: Sequence[str]) -> list[dict[str, Any]]:
    """Return the share of the values' variance that each parameter explains by the means of its bins (eta squared).

    Numbers are divided into eight bins of equally many trials; other values are a bin each.
    """
    valued = np.flatnonzero(np.isfinite(table.values))
    values = table.values[valued]
    total = float(((values - values.mean()) ** 2).sum()) if len(values) else 0.0
    rows = []
    for name in parameters:
        share = 0.0
        if total > 0:
            bins = _bins([table.points[at].get(name) for at in valued])
            counts = np.bincount(bins)
            means = np.bincount(bins, values) / np.maximum(counts, 1)
            share = float((counts * (means - values.mean()) ** 2).sum()) / total
        rows.append({"parameter": name, "share": share})
    return sorted(rows, key=lambda row: -float(row["share"]))


def _bins(values: Sequence[Any]) -> NDArray[np.intp]:
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        numbers = np.array(values, np.float64)
        distinct, rank = np.unique(numbers, return_inverse=True)
        if len(distinct) > BINS:
            edges = np.quantile(numbers, np.linspace(0, 1, BINS + 1)[1:-1])
            return np.searchsorted(edges, numbers, side="right")
        return rank
    names = {name: place for place, name in enumerate(dict.fromkeys(map(repr, values)))}
    return np.array([names[repr(value)] for value in values], np.intp)


def progress(table: TrialTable, *, maximize: bool) -> dict[str, Any]:
    """Return the best value so far where it improves, in the order of the numbers."""
    sign = 1.0 if maximize else -1.0
    signed = np.where(np.isfinite(table.values), sign * table.values, -math.inf)
    best = np.maximum.accumulate(signed) if len(signed) else signed
    improved = np.flatnonzero(best > np.concatenate(([-math.inf], best[:-1])))[-MAX_PROGRESS:]
    return {
        "number": [int(table.numbers[at]) for at in improved],
        "best": [float(sign * best[at]) for at in improved],
    }


def failures(table: TrialTable) -> list[dict[str, Any]]:
    """Return the errors of the failed trials, the most frequent first, each with its first trials."""
    counts = Counter(
        error for error, state in zip(table.errors, table.states, strict=True) if state == TrialState.FAILED
    )
    return [
        {
            "error": error,
            "trials": count,
            "numbers": [
                int(number) for number, own in zip(table.numbers, table.errors, strict=True) if own == error
            ][:5],
        }
        for error, count in counts.most_common(MAX_ERRORS)
    ]


def number_or_none(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
