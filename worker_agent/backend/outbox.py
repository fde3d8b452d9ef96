"""Reports of finished operations, stored on disk until the backend acknowledges them, across restarts too."""

import asyncio
import logging
import os
import shutil
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from worker_agent.backend.backoff import jitter
from worker_agent.backend.client import BackendClient
from worker_agent.backend.errors import BackendError, Refused, Unauthorized
from worker_agent.monitoring import logs
from worker_agent.protocol import ErrorClass, FinishedOperation, Message, OperationError, Outcome, Report
from worker_agent.trace import Trace

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 30.0
MAX_REGISTERED, MAX_REGISTERED_BYTES = 100, 8_000_000
"""Kept reports that a registration contains; the backend refuses a body above 20 MB."""
SETTLED_STATUSES = (403, 404, 409, 410)
"""The attempt is over for the backend, or the backend never knew it: sending the report again is useless."""


class OutboxEntry(Message):
    """One file of the outbox: the report, and where its artifacts are."""

    finished: FinishedOperation
    files: dict[str, str]
    """SHA-256 -> path."""
    directory: str
    """The job's directory, removed with the entry."""
    request_id: str = ""
    traceparent: str = ""

    def log_context(self) -> AbstractContextManager[None]:
        """Mark every log line and backend call inside as part of this operation."""
        trace = Trace.of(self.request_id, self.traceparent)
        return logs.operation_context(self.finished.operation_id, self.finished.report.attempt, trace)


def _name_of(finished: FinishedOperation) -> str:
    return f"{finished.operation_id}.{finished.report.attempt}.json"


@dataclass(slots=True)
class Outbox:
    """`deliver` sends the entries in the order in which they were added."""

    directory: Path
    client: BackendClient
    on_unauthorized: Callable[[], Awaitable[None]]
    entries: dict[str, OutboxEntry] = field(default_factory=dict)
    """File name -> entry, oldest first."""
    _filled: asyncio.Event = field(default_factory=asyncio.Event)
    _empty: asyncio.Event = field(default_factory=asyncio.Event)

    def load(self) -> None:
        """Read the entries that an earlier process of this agent left. An unreadable file is renamed to `.broken`."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for path in sorted(self.directory.glob("*.json"), key=lambda p: p.stat().st_mtime):
            try:
                self.entries[path.name] = OutboxEntry.model_validate_json(path.read_bytes())
            except (ValidationError, OSError) as error:
                broken = path.with_suffix(".broken")
                log.error("could not read the stored report %s; renamed to %s: %s", path, broken.name, error)
                path.rename(broken)
        self._update_events()

    async def add(self, entry: OutboxEntry) -> None:
        """Store the entry on disk and queue it. Raises OSError; the entry is then kept in memory only.

        Delivery starts with the event loop's next step, never before the caller's own next line. Anyone who receives
        the report may therefore rely on the effects of that line.
        """
        name = _name_of(entry.finished)
        try:
            await asyncio.to_thread(self._write, name, entry)
        finally:
            self.entries[name] = entry
            self._update_events()

    def _write(self, name: str, entry: OutboxEntry) -> None:
        incoming = self.directory / f".{name}"
        with incoming.open("w") as file:
            file.write(entry.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        incoming.replace(self.directory / name)
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def forget(self, finished: FinishedOperation) -> None:
        """Remove the report that the backend has acknowledged at the registration; not that of a later attempt."""
        name = _name_of(finished)
        if name in self.entries:
            self._remove(name)

    def finished_operations(self) -> tuple[FinishedOperation, ...]:
        return tuple(entry.finished for entry in self.entries.values())

    def newest_reports(self) -> tuple[FinishedOperation, ...]:
        """Return the newest reports that fit into a registration, oldest first.

        Only the newest can belong to an attempt that the backend still has. The others are delivered one by one.
        """
        reports: list[FinishedOperation] = []
        size = 0
        for entry in reversed(self.entries.values()):
            size += len(entry.finished.model_dump_json())
            if reports and (size > MAX_REGISTERED_BYTES or len(reports) >= MAX_REGISTERED):
                break
            reports.append(entry.finished)
        return tuple(reversed(reports))

    async def wait_until_empty(self, timeout_s: float) -> bool:
        """Return whether the outbox was empty within the timeout."""
        try:
            await asyncio.wait_for(self._empty.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def deliver(self) -> None:
        """Send the oldest entry until the backend acknowledges it, then the next. Never returns."""
        tries = 0
        while True:
            await self._filled.wait()
            name, entry = next(iter(self.entries.items()))
            with entry.log_context():
                if await self._try_to_settle(name, entry):
                    self._remove(name)
                    tries = 0
                    continue
            await asyncio.sleep(jitter(tries, FIRST_PAUSE_S, LONGEST_PAUSE_S))
            tries += 1

    async def _try_to_settle(self, name: str, entry: OutboxEntry) -> bool:
        """Send the entry; return whether the backend accepted it or will never need it."""
        try:
            await self._send(entry)
        except Unauthorized:
            await self.on_unauthorized()
        except Refused as error:
            if error.status in SETTLED_STATUSES:
                log.info("report dropped, the attempt is over for the backend: %s", error)
                return True
            self._replace_with_failure(name, entry, error)
        except (BackendError, OSError) as error:
            log.warning("could not deliver the report; trying again: %s", error)
        else:
            log.info("report delivered")
            return True
        return False

    async def _send(self, entry: OutboxEntry) -> None:
        for sha256, path in entry.files.items():
            if not Path(path).exists():
                continue  # uploaded before a restart, or lost: the backend will answer the report accordingly
            try:
                await self.client.put_file(sha256, Path(path), entry.finished.report.attempt_secret)
            except Refused as error:
                if error.status not in SETTLED_STATUSES:
                    raise
                break  # the attempt is over; the backend will answer the report accordingly
        await self.client.report(entry.finished.operation_id, entry.finished.report)

    def _replace_with_failure(self, name: str, entry: OutboxEntry, error: Refused) -> None:
        """Replace a report that the backend calls invalid by a failure with that reason; drop a failure."""
        report = entry.finished.report
        if report.outcome is Outcome.FAILED and not report.artifacts:
            log.error("report dropped, the backend refused even the failure: %s", error)
            self._remove(name)
            return
        failure = Report(
            attempt=report.attempt,
            attempt_secret=report.attempt_secret,
            instance_id=report.instance_id,
            outcome=Outcome.FAILED,
            error=OperationError(
                error_class=ErrorClass.JOB, message=f"The backend refused the report ({error})."[:4000]
            ),
            metrics=report.metrics,
            logs=report.logs,
        )
        finished = FinishedOperation(operation_id=entry.finished.operation_id, report=failure)
        self.entries[name] = entry.model_copy(update={"finished": finished, "files": {}})

    def _remove(self, name: str) -> None:
        entry = self.entries.pop(name, None)
        (self.directory / name).unlink(missing_ok=True)
        if entry is not None:
            shutil.rmtree(entry.directory, ignore_errors=True)
        self._update_events()

    def _update_events(self) -> None:
        if self.entries:
            self._filled.set()
            self._empty.clear()
        else:
            self._filled.clear()
            self._empty.set()
