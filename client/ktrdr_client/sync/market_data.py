# Generated from ../aio/market_data.py by tools/blocking_client.py: change that file, not this one.
"""Market data in and out as DataFrames."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ktrdr_client import frames
from ktrdr_client.sync.operations import Operation
from ktrdr_client.sync.session import Session, part
from ktrdr_client.files import read_bars

if TYPE_CHECKING:
    import pandas as pd


class MarketData:
    def __init__(self, session: Session) -> None:
        self._session = session

    def import_(
        self,
        source: "str | Path | pd.DataFrame",
        symbol: str,
        timeframe: str,
        *,
        wait: bool = True,
        progress: bool = False,
        **options: Any,
    ) -> Operation:
        """Import a file of bars or a DataFrame with a time index; `options` are those of `POST /market-data`.

        Raises OSError, ProblemError, OperationFailed.
        """
        name, content = read_bars(source)
        fields = {"symbol": symbol, "timeframe": timeframe, **options}
        form = {
            key: str(value).lower() if isinstance(value, bool) else value for key, value in fields.items()
        }
        created = self._session.create("/market-data", data=form, files={"file": (name, content)})
        operation = Operation(self._session, {**created, "operation_type": "data_import"})
        return operation.wait(progress=progress) if wait else operation

    def get(self, symbol: str, timeframe: str) -> "pd.DataFrame":
        """Return the bars, indexed by the UTC time of their opens."""
        return frames.bars(self.parquet(symbol, timeframe))

    def parquet(self, symbol: str, timeframe: str) -> bytes:
        """Return the bars as a Parquet file."""
        return self._session.content(f"/market-data/{part(symbol)}/{part(timeframe)}/bars")

    def coverage(self) -> "pd.DataFrame":
        """Return the coverage: one row per symbol and timeframe."""
        return frames.coverage([row for row in self._session.pages("/market-data")])

    def delete(self, symbol: str, timeframe: str) -> None:
        """Forget the bars. Staff only."""
        self._session.act("DELETE", f"/market-data/{part(symbol)}/{part(timeframe)}")
