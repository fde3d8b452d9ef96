"""Finished operations, kept on disk until the backend has acknowledged them, also across a restart."""

import asyncio
import logging
import os
import random
import shutil
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from worker_agent import logs
from worker_agent.client import BackendClient, BackendError, Refused, Unauthorized
from worker_agent.protocol import ErrorClass, FinishedOperation, Message, OperationError, Outcome, Report
from worker_agent.trace import Trace

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 30.0
GONE = (403, 404, 409, 410)
"""The backend knows the attempt no more, or never did: nothing left to say."""


class Kept(Message):
    """One file of the outbox: the report, and where its artifacts lie."""

    finished: FinishedOperation
    files: dict[str, str]
    """SHA-256 -> path."""
    directory: str
    """The job's, removed with the entry."""
    request_id: str = ""
    traceparent: str = ""

    def spoken_of(self) -> AbstractContextManager[None]:
        report = self.finished
        trace = Trace.of(self.request_id, self.traceparent)
        return logs.speaking_of(report.operation_id, report.report.attempt, trace)


def jitter(attempt: int, first_s: float = FIRST_PAUSE_S, longest_s: float = LONGEST_PAUSE_S) -> float:
    """Full jitter (Brooker 2015): uniform in [0, first * 2^attempt], at most `longest_s`."""
    return random.uniform(0, min(longest_s, first_s * 2 ** min(attempt, 20)))  # noqa: S311  (no secret)


@dataclass(slots=True)
class Outbox:
    """Written by whoever finishes a job; sent on by `deliver`, in the order of their ends."""

    directory: Path
    client: BackendClient
    on_unauthorized: Callable[[], Awaitable[None]]
    entries: dict[str, Kept] = field(default_factory=dict)
    """File name -> entry, oldest first."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _empty: asyncio.Event = field(default_factory=asyncio.Event)

    def load(self) -> None:
        """What an earlier process of this agent left. A broken file is put aside, not lost."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for path in sorted(self.directory.glob("*.json"), key=lambda p: p.stat().st_mtime):
            try:
                self.entries[path.name] = Kept.model_validate_json(path.read_bytes())
            except (ValidationError, OSError) as error:
                log.error("the kept report %s cannot be read and is put aside: %s", path, error)
                path.rename(path.with_suffix(".broken"))
        self._changed()

    async def keep(self, kept: Kept) -> None:
        """On disk, and then to be sent. Raises OSError; the report then lives in memory alone.

        The sending begins with the event loop's next step, never before the caller's own next line: whoever hears
        of the report may rely on what the caller does there.
        """
        name = f"{kept.finished.operation_id}.{kept.finished.report.attempt}.json"
        try:
            await asyncio.to_thread(self._write, name, kept)
        finally:
            self.entries[name] = kept
            self._changed()

    def _write(self, name: str, kept: Kept) -> None:
        incoming = self.directory / f".{name}"
        with incoming.open("w") as file:
            file.write(kept.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        incoming.replace(self.directory / name)
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def forget(self, operation_id: str) -> None:
        """The backend has acknowledged what it was told at registration."""
        for name, kept in list(self.entries.items()):
            if kept.finished.operation_id == operation_id:
                self._remove(name)

    def finished(self) -> tuple[FinishedOperation, ...]:
        return tuple(kept.finished for kept in self.entries.values())

    async def delivered(self, timeout_s: float) -> bool:
        """Waits until nothing is left, for so long at most."""
        try:
            await asyncio.wait_for(self._empty.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def deliver(self) -> None:
        """For ever: the oldest first, each again and again until it is acknowledged."""
        tries = 0
        while True:
            await self._news.wait()
            name, kept = next(iter(self.entries.items()))
            with kept.spoken_of():
                if await self._is_settled(name, kept):
                    self._remove(name)
                    tries = 0
                    continue
            await asyncio.sleep(jitter(tries))
            tries += 1

    async def _is_settled(self, name: str, kept: Kept) -> bool:
        """Whether nothing is left to say: the backend has taken it, or wants it no more."""
        try:
            await self._send(kept)
        except Unauthorized:
            await self.on_unauthorized()
        except Refused as error:
            if error.status in GONE:
                log.info("%s is over for the backend: %s", kept.finished.operation_id, error)
                return True
            self._replace(name, kept, error)
        except (BackendError, OSError) as error:
            log.warning("the report of %s waits: %s", kept.finished.operation_id, error)
        else:
            log.info("the report of %s is delivered", kept.finished.operation_id)
            return True
        return False

    async def _send(self, kept: Kept) -> None:
        for sha256, path in kept.files.items():
            if not Path(path).exists():
                continue  # put before a restart, or gone: the report itself will tell
            try:
                await self.client.put_file(sha256, Path(path))
            except Refused as error:
                if error.status not in GONE:
                    raise
                break  # the attempt counts no more; the report will be told so
        await self.client.report(kept.finished.operation_id, kept.finished.report)

    def _replace(self, name: str, kept: Kept, error: Refused) -> None:
        """The backend calls the report invalid: the attempt has failed then, and says why. A failure is dropped."""
        report = kept.finished.report
        if report.outcome is Outcome.FAILED and not report.artifacts:
            log.error("the backend refuses even the failure of %s: %s", kept.finished.operation_id, error)
            self._remove(name)
            return
        failure = Report(
            attempt=report.attempt,
            instance_id=report.instance_id,
            outcome=Outcome.FAILED,
            error=OperationError(
                error_class=ErrorClass.JOB, message=f"The backend refused the report ({error})."[:4000]
            ),
            metrics=report.metrics,
            logs=report.logs,
        )
        finished = FinishedOperation(operation_id=kept.finished.operation_id, report=failure)
        self.entries[name] = kept.model_copy(update={"finished": finished, "files": {}})

    def _remove(self, name: str) -> None:
        kept = self.entries.pop(name, None)
        (self.directory / name).unlink(missing_ok=True)
        if kept is not None:
            shutil.rmtree(kept.directory, ignore_errors=True)
        self._changed()

    def _changed(self) -> None:
        if self.entries:
            self._news.set()
            self._empty.clear()
        else:
            self._news.clear()
            self._empty.set()
