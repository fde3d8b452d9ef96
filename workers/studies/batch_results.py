"""The results of a batch while it runs: outcomes, moments, and the daily returns of a few trials."""

import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from workers.studies.archive import pack
from workers.studies.evaluation import Outcome
from workers.studies.messages import (
    BLOCKS,
    EVIDENCE_FILE,
    MAX_KEPT_RETURNS,
    MOMENTS_FILE,
    RETURNS_FILE,
    TRIALS_FILE,
    BatchResult,
    Trial,
    TrialState,
)
from workers.studies.running_evidence import RunningEvidence
from workers.studies.statistics.moments import write_block_moments

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

OUTCOMES_FILE = "outcomes.json"


@dataclass(slots=True)
class BatchResults:
    """Takes in outcomes in any order; what it returns is in the order of the trials."""

    trials: Sequence[Trial]
    seed: int
    maximize: bool
    days: int
    most_kept: int = MAX_KEPT_RETURNS
    """Trials whose daily returns are kept."""
    evidence: RunningEvidence | None = None
    """None for trainings, whose trials may continue after a rung with other returns."""
    rows: dict[int, Outcome] = field(default_factory=dict)
    moments: dict[int, Floats] = field(default_factory=dict)
    returns: dict[int, Singles] = field(default_factory=dict)
    """Of the best trials so far and of the sample."""
    unsettled: list[int] = field(default_factory=list)
    """Trials whose processor time is not known yet."""

    def add(self, outcome: Outcome) -> None:
        number = outcome.number
        if outcome.daily is not None:
            moments = np.empty((BLOCKS, 2))
            write_block_moments(np.ascontiguousarray(outcome.daily), moments)
            self.moments[number] = moments
            self.returns[number] = outcome.daily.astype(np.float32)
            if self.evidence is not None and np.isfinite(moments).all():
                self.evidence.add(number, outcome.daily)
        self.rows[number] = replace(outcome, daily=None)
        self.unsettled.append(number)
        if len(self.returns) > 2 * self.most_kept:
            self._drop_returns()

    def settle(self, cpu_s: float) -> None:
        """Divide processor time among the trials added since the last call, in proportion to the time on their threads.

        Measuring the processor time of each trial takes longer than a short trial on some kernels.
        """
        total = sum(self.rows[number].cpu_ms for number in self.unsettled)
        for number in self.unsettled:
            row = self.rows[number]
            self.rows[number] = replace(row, cpu_ms=row.cpu_ms / total * cpu_s * 1e3 if total else 0.0)
        self.unsettled = []

    def pending(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.number not in self.rows]

    def numbers_kept(self) -> list[int]:
        """Return the trials whose returns are kept: the best ones, and a sample that depends only on the numbers."""
        sampled = sorted(self.returns, key=self._draw)[: self.most_kept // 2]
        best = sorted(self.returns, key=self._rank)
        chosen = dict.fromkeys((*sampled, *best))
        return sorted(list(chosen)[: self.most_kept])

    def _drop_returns(self) -> None:
        kept = set(self.numbers_kept())
        self.returns = {number: row for number, row in self.returns.items() if number in kept}

    def _draw(self, number: int) -> bytes:
        return hashlib.sha256(f"{self.seed}/returns/{number}".encode()).digest()

    def _rank(self, number: int) -> tuple[float, int]:
        """Order trials by value, the best first; those without a value come last."""
        value = self.rows[number].value
        if value is None:
            return math.inf, number
        return (-value if self.maximize else value), number

    def result(self, *, cancelled: bool = False) -> BatchResult:
        rows = [self.rows[number] for number in sorted(self.rows)]
        names = list(dict.fromkeys(name for row in rows for name in row.scores))
        return BatchResult(
            number=[row.number for row in rows],
            state=[row.state for row in rows],
            value=[row.value for row in rows],
            scores={name: [row.scores.get(name) for row in rows] for name in names},
            cpu_ms=[round(row.cpu_ms, 3) for row in rows],
            errors={str(row.number): row.error for row in rows if row.error},
            kept=self.numbers_kept(),
            days=self.days,
            stopped="cancelled" if cancelled else "",
        )

    def artifacts(self) -> dict[str, bytes]:
        kept = self.numbers_kept()
        returns = np.array([self.returns[number] for number in kept], np.float32).reshape(
            len(kept), self.days
        )
        return {
            TRIALS_FILE: self._table(),
            MOMENTS_FILE: _npy(self._all_moments()),
            RETURNS_FILE: _npy(returns),
            **self._evidence_file(),
        }

    def _evidence_file(self) -> dict[str, bytes]:
        return {} if self.evidence is None else {EVIDENCE_FILE: self.evidence.to_bytes()}

    def folds(self) -> bytes:
        """Return the archive with the folds of each trial."""
        files = {
            f"{number}.json": json.dumps({"folds": row.of_folds}).encode()
            for number, row in self.rows.items()
        }
        return pack(files)

    def _all_moments(self) -> Floats:
        """Return float64[trials, 16, 2], NaN for trials that failed."""
        missing = np.full((BLOCKS, 2), np.nan)
        rows = [self.moments.get(number, missing) for number in sorted(self.rows)]
        return np.array(rows, np.float64).reshape(len(rows), BLOCKS, 2)

    def _table(self) -> bytes:
        """Return the trials as Parquet: parameters as JSON, scores as columns, the folds' metric as a list."""
        rows, kept = [self.rows[number] for number in sorted(self.rows)], set(self.numbers_kept())
        points = {trial.number: trial.point for trial in self.trials}
        names = list(dict.fromkeys(name for row in rows for name in row.scores))
        columns = {
            "number": pa.array([row.number for row in rows], pa.int64()),
            "state": pa.array([row.state.value for row in rows]),
            "value": pa.array([row.value for row in rows], pa.float64()),
            "parameters": pa.array([json.dumps(points[row.number], sort_keys=True) for row in rows]),
            "cpu_ms": pa.array([row.cpu_ms for row in rows], pa.float64()),
            "error": pa.array([row.error for row in rows]),
            "folds": pa.array([list(row.of_folds) for row in rows], pa.list_(pa.float64())),
            "is_kept": pa.array([row.number in kept for row in rows], pa.bool_()),
        } | {name: pa.array([row.scores.get(name) for row in rows], pa.float64()) for name in names}
        buffer = io.BytesIO()
        pq.write_table(pa.table(columns), buffer, compression="zstd")
        return buffer.getvalue()

    def checkpoint(self) -> dict[str, bytes]:
        """Return the files from which `restore` continues."""
        numbers = sorted(self.moments)
        rows = [_as_json(self.rows[number]) for number in sorted(self.rows)]
        self._drop_returns()
        kept = sorted(self.returns)
        moments = np.array([self.moments[n] for n in numbers], np.float64).reshape(len(numbers), BLOCKS, 2)
        returns = np.array([self.returns[n] for n in kept], np.float32).reshape(len(kept), self.days)
        state = {"rows": rows, "moments": numbers, "returns": kept}
        return {
            OUTCOMES_FILE: json.dumps(state).encode(),
            MOMENTS_FILE: _npy(moments),
            RETURNS_FILE: _npy(returns),
            **self._evidence_file(),
        }

    def restore(self, files: Mapping[str, bytes]) -> None:
        state = json.loads(files[OUTCOMES_FILE])
        moments, returns = (np.load(io.BytesIO(files[name])) for name in (MOMENTS_FILE, RETURNS_FILE))
        self.rows = {row["number"]: _from_json(row) for row in state["rows"]}
        self.moments = dict(zip(state["moments"], moments, strict=True))
        self.returns = dict(zip(state["returns"], returns, strict=True))
        saved = files.get(EVIDENCE_FILE)
        if self.evidence is not None and (saved is None or not self.evidence.merge(saved)):
            # The checkpoint is of an earlier version; the report simulates the trials again.
            self.evidence = None


def _as_json(outcome: Outcome) -> dict[str, object]:
    return {name: getattr(outcome, name) for name in Outcome.__slots__ if name != "daily"}


def _from_json(row: dict[str, object]) -> Outcome:
    values = row | {"state": TrialState(str(row["state"])), "of_folds": tuple(row["of_folds"])}  # type: ignore[arg-type]
    return Outcome(**values)  # type: ignore[arg-type]


def _npy(array: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
