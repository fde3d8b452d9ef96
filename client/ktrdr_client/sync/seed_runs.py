# Generated from ../aio/seed_runs.py by tools/blocking_client.py: change that file, not this one.
"""Seed runs: one submission with several seeds, and how much its figures depend on them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from ktrdr_client import frames
from ktrdr_client.sync.operations import Operation, require_completed, wait_for
from ktrdr_client.sync.session import Session, Json, part
from ktrdr_client.bodies import submission
from ktrdr_client.problems import ClientError

if TYPE_CHECKING:
    import pandas as pd


class SeedRun:
    """One seed run; `data` is its state when it was last read."""

    def __init__(self, session: Session, data: Json) -> None:
        self._session = session
        self.data = data
        self._operations = self._members()

    def __repr__(self) -> str:
        return f"<seed run {self.id}>"

    @property
    def id(self) -> str:
        return str(self.data["seed_run_id"])

    @property
    def operations(self) -> list[Operation]:
        """In the order of their seeds; backtests follow the trainings. `results` makes a table of them after `wait`."""
        self._require_detail()
        return self._operations

    @property
    def spread(self) -> "pd.DataFrame":
        """One row per figure of the completed operations, indexed by operation type and name.

        Columns are `count`, `minimum`, `median`, `mean`, `maximum` and `deviation` (of a sample, n - 1; NaN for one value).
        """
        self._require_detail()
        return frames.spread(self.data["spread"])

    def refresh(self) -> Self:
        self.data = self._session.get(self._path())
        self._operations = self._members()
        return self

    def wait(
        self, timeout_s: float | None = None, *, progress: bool = False, check: bool = True
    ) -> Self:
        """Return when all operations have ended. Raises OperationFailed unless all completed or `check` is false, WaitTimeout."""
        self.refresh()
        wait_for(self._session, self._operations, timeout_s, progress=progress, check=False)
        self.data = self._session.get(self._path())
        if check:
            require_completed(self._operations)
        return self

    def _members(self) -> list[Operation]:
        return [Operation(self._session, dict(row)) for row in self.data.get("operations", ())]

    def _require_detail(self) -> None:
        if "operations" not in self.data:
            raise ClientError(f"Call refresh() of seed run {self.id} first: lists contain no operations.")

    def _path(self) -> str:
        return f"/seed-runs/{part(self.id)}"


class SeedRuns:
    def __init__(self, session: Session) -> None:
        self._session = session

    def submit(
        self, seeds: int, operation: Mapping[str, Any], backtest: Mapping[str, Any] | None = None
    ) -> SeedRun:
        """Submit an operation with several seeds, all or none; with `backtest`, also a backtest of each trained model.

        `operation` has `operation_type` and the fields of its request; `backtest` has those of `POST /backtests/start`
        without `model`. `strategy_yaml` may be a file. Raises OSError, ProblemError.
        """
        body: Json = {"seeds": seeds, "operation": submission(operation)}
        if backtest is not None:
            body["backtest"] = submission(backtest)
        return SeedRun(self._session, self._session.create("/seed-runs", json=body))

    def get(self, seed_run_id: str) -> SeedRun:
        return SeedRun(self._session, {"seed_run_id": seed_run_id}).refresh()

    def find(self, limit: int | None = 50) -> list[SeedRun]:
        """Return seed runs, newest first; `refresh` reads the operations and the spread of one."""
        rows = self._session.pages("/seed-runs", limit=limit)
        return [SeedRun(self._session, row) for row in rows]
