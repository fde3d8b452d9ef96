"""Schedules: submissions that are repeated at the times of a cron expression."""

from collections.abc import Mapping
from typing import Any, Self

from ktrdr_client.aio.session import AsyncSession, Json, part
from ktrdr_client.bodies import given, submission


class AsyncSchedule:
    """One schedule; `data` is its state when it was last read."""

    def __init__(self, session: AsyncSession, data: Json) -> None:
        self._session = session
        self.data = data

    def __repr__(self) -> str:
        return f"<schedule {self.id} {self.data.get('cron', '')}{' paused' if self.is_paused else ''}>"

    @property
    def id(self) -> str:
        return str(self.data["schedule_id"])

    @property
    def is_paused(self) -> bool:
        return self.data.get("paused_at") is not None

    async def refresh(self) -> Self:
        self.data = await self._session.get(self._path())
        return self

    async def change(self, **fields: Any) -> Self:
        """Change `name`, `cron`, `time_zone`, `catch_up` or `overlap`."""
        self.data = await self._session.act("PATCH", self._path(), fields)
        return self

    async def pause(self, reason: str = "") -> Self:
        """Submit nothing until it is resumed; its operations go on."""
        self.data = await self._session.act("POST", self._path("pause"), {"reason": reason})
        return self

    async def resume(self) -> Self:
        """Continue with the next due time."""
        self.data = await self._session.act("POST", self._path("resume"))
        return self

    async def delete(self) -> None:
        """Delete the schedule; the operations that it submitted stay."""
        await self._session.act("DELETE", self._path())

    async def runs(self, limit: int | None = 50) -> list[Json]:
        """Return due times, newest first: `due_at`, `at`, `outcome`, `operation_id` and `detail` of each."""
        return [row async for row in self._session.pages(self._path("runs"), limit=limit)]

    def _path(self, *parts: str) -> str:
        return "/".join(("/schedules", part(self.id), *parts))


class AsyncSchedules:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def create(
        self,
        name: str,
        cron: str,
        operation: Mapping[str, Any],
        *,
        time_zone: str | None = None,
        catch_up: str | None = None,
        overlap: str | None = None,
    ) -> AsyncSchedule:
        """Repeat a submission at the times of `cron`: minute, hour, day of month, month, day of week.

        `operation` has `operation_type` and the fields of its request; `strategy_yaml` may be a file. Missed times are
        caught up `once` or not (`skip`); while the last operation runs, a time is left out (`skip`) or waits (`queue`).
        Raises OSError, ProblemError.
        """
        rules = given(time_zone=time_zone, catch_up=catch_up, overlap=overlap)
        body = {"name": name, "cron": cron, "operation": submission(operation), **rules}
        return AsyncSchedule(self._session, await self._session.create("/schedules", json=body))

    async def get(self, schedule_id: str) -> AsyncSchedule:
        return await AsyncSchedule(self._session, {"schedule_id": schedule_id}).refresh()

    async def find(self, limit: int | None = 50) -> list[AsyncSchedule]:
        """Return schedules of all users, newest first; `refresh` reads the submission and the next times of one."""
        rows = self._session.pages("/schedules", limit=limit)
        return [AsyncSchedule(self._session, row) async for row in rows]
