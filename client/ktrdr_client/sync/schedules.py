# Generated from ../aio/schedules.py by tools/blocking_client.py: change that file, not this one.
"""Schedules: submissions that are repeated at the times of a cron expression."""

from collections.abc import Mapping
from typing import Any, Self

from ktrdr_client.sync.session import Session, Json, part
from ktrdr_client.bodies import given, submission


class Schedule:
    """One schedule; `data` is its state when it was last read."""

    def __init__(self, session: Session, data: Json) -> None:
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

    def refresh(self) -> Self:
        self.data = self._session.get(self._path())
        return self

    def change(self, **fields: Any) -> Self:
        """Change `name`, `cron`, `time_zone`, `catch_up` or `overlap`."""
        self.data = self._session.act("PATCH", self._path(), fields)
        return self

    def pause(self, reason: str = "") -> Self:
        """Submit nothing until it is resumed; its operations go on."""
        self.data = self._session.act("POST", self._path("pause"), {"reason": reason})
        return self

    def resume(self) -> Self:
        """Continue with the next due time."""
        self.data = self._session.act("POST", self._path("resume"))
        return self

    def delete(self) -> None:
        """Delete the schedule; the operations that it submitted stay."""
        self._session.act("DELETE", self._path())

    def runs(self, limit: int | None = 50) -> list[Json]:
        """Return due times, newest first: `due_at`, `at`, `outcome`, `operation_id` and `detail` of each."""
        return [row for row in self._session.pages(self._path("runs"), limit=limit)]

    def _path(self, *parts: str) -> str:
        return "/".join(("/schedules", part(self.id), *parts))


class Schedules:
    def __init__(self, session: Session) -> None:
        self._session = session

    def create(
        self,
        name: str,
        cron: str,
        operation: Mapping[str, Any],
        *,
        time_zone: str | None = None,
        catch_up: str | None = None,
        overlap: str | None = None,
    ) -> Schedule:
        """Repeat a submission at the times of `cron`: minute, hour, day of month, month, day of week.

        `operation` has `operation_type` and the fields of its request; `strategy_yaml` may be a file. Missed times are
        caught up `once` or not (`skip`); while the last operation runs, a time is left out (`skip`) or waits (`queue`).
        Raises OSError, ProblemError.
        """
        rules = given(time_zone=time_zone, catch_up=catch_up, overlap=overlap)
        body = {"name": name, "cron": cron, "operation": submission(operation), **rules}
        return Schedule(self._session, self._session.create("/schedules", json=body))

    def get(self, schedule_id: str) -> Schedule:
        return Schedule(self._session, {"schedule_id": schedule_id}).refresh()

    def find(self, limit: int | None = 50) -> list[Schedule]:
        """Return schedules of all users, newest first; `refresh` reads the submission and the next times of one."""
        rows = self._session.pages("/schedules", limit=limit)
        return [Schedule(self._session, row) for row in rows]
