# Generated from ../aio/client.py by tools/blocking_client.py: change that file, not this one.
"""The entry point."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx

from ktrdr_client.sync.market_data import MarketData
from ktrdr_client.sync.operations import Operation, Operations
from ktrdr_client.sync.ranking import Runs
from ktrdr_client.sync.runs import Backtests, Trainings
from ktrdr_client.sync.schedules import Schedules
from ktrdr_client.sync.secrets import Secrets
from ktrdr_client.sync.seed_runs import SeedRuns
from ktrdr_client.sync.session import Session, Json
from ktrdr_client.sync.strategies import Strategies
from ktrdr_client.sync.studies import Studies
from ktrdr_client.sync.uploads import Uploads
from ktrdr_client.files import read_text

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_URL = "http://127.0.0.1:8000"
TIMEOUT_S = 60.0
"""Longer than the longest poll, 30 s."""


class Client:
    """A connection to one site. `url` and `token` are by default KTRDR_URL and KTRDR_TOKEN."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        url = url or os.environ.get("KTRDR_URL") or DEFAULT_URL
        token = token if token is not None else os.environ.get("KTRDR_TOKEN", "")
        self._session = Session(url, token.strip(), timeout_s=timeout_s, transport=transport)
        self.operations = Operations(self._session)
        self.market_data = MarketData(self._session)
        self.trainings = Trainings(self._session)
        self.backtests = Backtests(self._session, self.operations)
        self.runs = Runs(self._session)
        self.studies = Studies(self._session)
        self.strategies = Strategies(self._session)
        self.seed_runs = SeedRuns(self._session)
        self.schedules = Schedules(self._session)
        self.uploads = Uploads(self._session)
        self.secrets = Secrets(self._session)

    def wait(
        self, operations: Sequence[Operation], timeout_s: float | None = None, *, progress: bool = False
    ) -> "pd.DataFrame":
        """Return the results of many operations as one table when all have ended. Raises OperationFailed, WaitTimeout."""
        return self.operations.wait(operations, timeout_s, progress=progress)

    def workers(self, **filters: Any) -> list[Json]:
        """Return the workers; `filters` are `worker_type`, `operation_type`, `status` and `gpu`."""
        return [row for row in self._session.pages("/workers", filters)]

    def validate(self, strategy: str | Path) -> Json:
        """Return what a strategy needs. Raises ProblemError with line and column of each error."""
        return self._session.act("POST", "/strategies/validate", {"strategy_yaml": read_text(strategy)})

    def close(self) -> None:
        self._session.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
