"""Market data in and out as DataFrames."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ktrdr_client import frames
from ktrdr_client.aio.operations import AsyncOperation
from ktrdr_client.aio.session import AsyncSession, part
from ktrdr_client.files import read_bars

if TYPE_CHECKING:
    import pandas as pd


class AsyncMarketData:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def import_(
        self,
        source: "str | Path | pd.DataFrame",
        symbol: str,
        timeframe: str,
        *,
        wait: bool = True,
        progress: bool = False,
        **options: Any,
    ) -> AsyncOperation:
        """Import a file of bars or a DataFrame with a time index; `options` are those of `POST /market-data`.

        Raises OSError, ProblemError, OperationFailed.
        """
        name, content = read_bars(source)
        fields = {"symbol": symbol, "timeframe": timeframe, **options}
        form = {
            key: str(value).lower() if isinstance(value, bool) else value for key, value in fields.items()
        }
        created = await self._session.create("/market-data", data=form, files={"file": (name, content)})
        operation = AsyncOperation(self._session, {**created, "operation_type": "data_import"})
        return await operation.wait(progress=progress) if wait else operation

    async def get(self, symbol: str, timeframe: str) -> "pd.DataFrame":
        """Return the bars, indexed by the UTC time of their opens."""
        return frames.bars(await self.parquet(symbol, timeframe))

    async def parquet(self, symbol: str, timeframe: str) -> bytes:
        """Return the bars as a Parquet file."""
        return await self._session.content(f"/market-data/{part(symbol)}/{part(timeframe)}/bars")

    async def coverage(self) -> "pd.DataFrame":
        """Return the coverage: one row per symbol and timeframe."""
        return frames.coverage([row async for row in self._session.pages("/market-data")])

    async def delete(self, symbol: str, timeframe: str) -> None:
        """Forget the bars. Staff only."""
        await self._session.act("DELETE", f"/market-data/{part(symbol)}/{part(timeframe)}")
