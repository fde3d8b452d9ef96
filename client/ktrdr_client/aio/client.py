"""The entry point."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx

from ktrdr_client.aio.market_data import AsyncMarketData
from ktrdr_client.aio.operations import AsyncOperation, AsyncOperations
from ktrdr_client.aio.ranking import AsyncRuns
from ktrdr_client.aio.runs import AsyncBacktests, AsyncTrainings
from ktrdr_client.aio.schedules import AsyncSchedules
from ktrdr_client.aio.secrets import AsyncSecrets
from ktrdr_client.aio.seed_runs import AsyncSeedRuns
from ktrdr_client.aio.session import AsyncSession, Json
from ktrdr_client.aio.strategies import AsyncStrategies
from ktrdr_client.aio.studies import AsyncStudies
from ktrdr_client.aio.uploads import AsyncUploads
from ktrdr_client.files import read_text

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_URL = "http://127.0.0.1:8000"
TIMEOUT_S = 60.0
"""Longer than the longest poll, 30 s."""


class AsyncClient:
    """A connection to one site. `url` and `token` are by default KTRDR_URL and KTRDR_TOKEN."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        url = url or os.environ.get("KTRDR_URL") or DEFAULT_URL
        token = token if token is not None else os.environ.get("KTRDR_TOKEN", "")
        self._session = AsyncSession(url, token.strip(), timeout_s=timeout_s, transport=transport)
        self.operations = AsyncOperations(self._session)
        self.market_data = AsyncMarketData(self._session)
        self.trainings = AsyncTrainings(self._session)
        self.backtests = AsyncBacktests(self._session, self.operations)
        self.runs = AsyncRuns(self._session)
        self.studies = AsyncStudies(self._session)
        self.strategies = AsyncStrategies(self._session)
        self.seed_runs = AsyncSeedRuns(self._session)
        self.schedules = AsyncSchedules(self._session)
        self.uploads = AsyncUploads(self._session)
        self.secrets = AsyncSecrets(self._session)

    async def wait(
        self, operations: Sequence[AsyncOperation], timeout_s: float | None = None, *, progress: bool = False
    ) -> "pd.DataFrame":
        """Return the results of many operations as one table when all have ended. Raises OperationFailed, WaitTimeout."""
        return await self.operations.wait(operations, timeout_s, progress=progress)

    async def workers(self, **filters: Any) -> list[Json]:
        """Return the workers; `filters` are `worker_type`, `operation_type`, `status` and `gpu`."""
        return [row async for row in self._session.pages("/workers", filters)]

    async def validate(self, strategy: str | Path) -> Json:
        """Return what a strategy needs. Raises ProblemError with line and column of each error."""
        return await self._session.act("POST", "/strategies/validate", {"strategy_yaml": read_text(strategy)})

    async def aclose(self) -> None:
        await self._session.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
