"""All trials of a study, read from the files of its batches."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput
from workers.studies.messages import MOMENTS_FILE, RETURNS_FILE, TRIALS_FILE, BatchFiles, Trial, TrialState
from workers.studies.statistics.moments import sharpes

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TrialTable:
    """One row per trial, in the order of their numbers. With early stopping, the row of the last rung that it reached."""

    numbers: NDArray[np.int64]
    states: tuple[TrialState, ...]
    values: Floats
    """float64[k], NaN without a value."""
    points: tuple[dict[str, Any], ...]
    scores: tuple[dict[str, float | None], ...]
    folds: tuple[tuple[float | None, ...], ...]
    errors: tuple[str, ...]
    cpu_ms: Floats
    moments: Floats
    """float64[k, 16, 2], NaN without returns."""
    kept: Mapping[int, Singles]
    """Daily returns of some trials, by number."""
    days: int

    def with_returns(self) -> Rows:
        """Return the positions of the trials that have daily returns."""
        return np.flatnonzero(np.isfinite(self.moments).all(axis=(1, 2)))

    def ratios(self) -> Floats:
        """Return float64[k]: Sharpe ratios per day; NaN without returns."""
        return sharpes(self.moments, self.days)

    def ranking(self, *, maximize: bool) -> Rows:
        """Return the positions of the completed trials with a value, the best first; of equal ones, the lowest number."""
        ranked = np.flatnonzero(
            np.isfinite(self.values)
            & np.array([state == TrialState.COMPLETED for state in self.states], np.bool_)
        )
        order = np.argsort(-self.values[ranked] if maximize else self.values[ranked], kind="stable")
        return ranked[order]

    def trial(self, position: int) -> Trial:
        return Trial(number=int(self.numbers[position]), point=self.points[position])

    def counts(self) -> dict[TrialState, int]:
        return {state: self.states.count(state) for state in TrialState}


def read_trials(batches: Sequence[BatchFiles], files: Mapping[str, Path]) -> TrialTable:
    """Read the batches' files. Raises InvalidInput if one is missing or they do not belong together."""
    rows: dict[int, tuple[int, dict[str, Any], Floats]] = {}
    kept: dict[int, tuple[int, Singles]] = {}
    days = set()
    for batch in batches:
        table, moments, returns = (
            _open(batch, name, files) for name in (TRIALS_FILE, MOMENTS_FILE, RETURNS_FILE)
        )
        records = pq.read_table(table).to_pylist()
        blocks, daily = np.load(moments, allow_pickle=False), np.load(returns, allow_pickle=False)
        if len(blocks) != len(records):
            raise InvalidInput(f"The files of batch {batch.name} do not belong together.")
        if len(daily):
            days.add(daily.shape[1])
        for record, block in zip(records, blocks, strict=True):
            known = rows.get(record["number"])
            if known is None or known[0] <= batch.rung:
                rows[record["number"]] = (batch.rung, record, block)
        for record_number, row in zip(_kept_numbers(records), daily, strict=True):
            if record_number not in kept or kept[record_number][0] <= batch.rung:
                kept[record_number] = (batch.rung, row)
    if len(days) > 1:
        raise InvalidInput("The batches were run on different data: their numbers of days differ.")
    return _table(
        [rows[number][1:] for number in sorted(rows)],
        {n: row for n, (_, row) in kept.items()},
        max(days, default=0),
    )


def join_trials(batches: Sequence[BatchFiles], files: Mapping[str, Path]) -> bytes:
    """Return the batches' tables of trials as one Parquet file. Raises InvalidInput if one is missing."""
    tables = [pq.read_table(_open(batch, TRIALS_FILE, files)) for batch in batches]
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.concat_tables(tables, promote_options="default"), buffer)
    return bytes(buffer.getvalue())


def _open(batch: BatchFiles, name: str, files: Mapping[str, Path]) -> Path:
    path = files.get(f"{batch.name}/{name}")
    if path is None:
        raise InvalidInput(f"The file {name} of batch {batch.name} is missing.")
    return path


def _kept_numbers(records: Sequence[Mapping[str, Any]]) -> list[int]:
    return [record["number"] for record in records if record["is_kept"]]


_OWN = {"number", "state", "value", "parameters", "cpu_ms", "error", "folds", "is_kept"}


def _table(
    rows: Sequence[tuple[dict[str, Any], Floats]], kept: Mapping[int, Singles], days: int
) -> TrialTable:
    records = [record for record, _ in rows]
    return TrialTable(
        numbers=np.array([record["number"] for record in records], np.int64),
        states=tuple(TrialState(record["state"]) for record in records),
        values=np.array(
            [np.nan if record["value"] is None else record["value"] for record in records], np.float64
        ),
        points=tuple(json.loads(f"[{','.join(record['parameters'] for record in records)}]")),
        scores=tuple({name: record[name] for name in record if name not in _OWN} for record in records),
        folds=tuple(tuple(record["folds"]) for record in records),
        errors=tuple(record["error"] for record in records),
        cpu_ms=np.array([record["cpu_ms"] for record in records], np.float64),
        moments=np.array([block for _, block in rows], np.float64),
        kept=kept,
        days=days,
    )
