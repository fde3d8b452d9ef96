"""Runs ranked by their metrics, as one table."""

from typing import TYPE_CHECKING

from ktrdr_client import frames
from ktrdr_client.aio.session import AsyncSession, Json

if TYPE_CHECKING:
    import pandas as pd

PAGE = 1_000


class AsyncRuns:
    """Trainings, backtests and studies with the metrics and settings by which they are compared."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def rows(
        self,
        where: str = "",
        order: str | None = None,
        limit: int | None = 50,
        *,
        archived: str | None = None,
    ) -> list[Json]:
        """Return the rows of `GET /runs`; a limit of None returns all. Raises ProblemError.

        `where` is a filter expression such as "sharpe > 0.5 and tag = fx", `order` a metric or field, with a leading
        hyphen for the highest first.
        """
        rows: dict[str, Json] = {}
        offset: int | None = 0
        while offset is not None and (limit is None or offset < limit):
            size = PAGE if limit is None else min(PAGE, limit - offset)
            query = {
                "where": where or None,
                "order": order,
                "archived": archived,
                "limit": size,
                "offset": offset,
            }
            page = await self._session.get("/runs", query)
            # A run that was submitted meanwhile moves the others to the next page.
            rows |= {row["operation_id"]: row for row in page["results"]}
            offset = page["next_offset"]
        return list(rows.values())

    async def find(
        self,
        where: str = "",
        order: str | None = None,
        limit: int | None = 50,
        *,
        archived: str | None = None,
        all_settings: bool = False,
    ) -> "pd.DataFrame":
        """Return one row per run, indexed by its id: fields, metrics, and the settings that differ between the runs.

        The arguments are those of `rows`; with `all_settings` every setting is a column.
        """
        rows = await self.rows(where, order, limit, archived=archived)
        return frames.runs(rows, all_settings=all_settings)
