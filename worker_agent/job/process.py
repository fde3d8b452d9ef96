"""A job's process as the agent sees it: start it, read its messages, and make sure that it ends."""

import asyncio
import json
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from worker_agent.job import linux, process_tree
from worker_agent.job.job import Assignment
from worker_agent.job.launching import Child, Launcher, Work
from worker_agent.job.repair import text_of
from worker_agent.protocol import MAX_TRACEBACK, ErrorClass, LogLevel, OperationError

TERM_GRACE_S = 2.0
"""Between SIGTERM and SIGKILL."""
EXIT_GRACE_S = 5.0
"""For the process to exit after its final message."""

MAX_REASON = 500
"""Characters of the last line of the error output in a message."""
MAX_MESSAGE_BYTES = 16 * 1024**2
"""Of one message; the longest that `Job` sends is a result of 1 MiB with its error texts."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the process ended. `message` is its final message; None if it ended without one."""

    message: dict[str, Any] | None
    exit_code: int
    killed_by_agent: bool
    out_of_memory: bool
    left_behind: int = 0
    """Processes that outlived the job and were killed."""
    server_lost: bool = False
    """The fork server ended, and the job with it."""
    last_errors: str = ""
    """The end of what the process wrote to its standard error."""

    def error(self) -> OperationError:
        """The error of a process that ended without a final message, with the end of its error output."""
        error_class = ErrorClass.JOB
        if self.exit_code >= 0:
            text = f"The job's process ended with exit status {self.exit_code} and without a result{self._reason()}"
        elif self.out_of_memory and self.exit_code == -signal.SIGKILL:
            error_class = ErrorClass.OUT_OF_MEMORY
            text = "The operating system killed the job's process because memory ran out."
        else:
            text = f"The job's process was ended by {_signal_name(-self.exit_code)}."
        output = text_of(self.last_errors, MAX_TRACEBACK) or None
        return OperationError(error_class=error_class, message=text, traceback=output)

    def _reason(self) -> str:
        """The end of a sentence: the last line of the error output, if there is one."""
        line = self.last_errors.rpartition("\n")[2].strip()
        return f": {text_of(line, MAX_REASON)}" if line else "."


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@dataclass(slots=True)
class JobProcess:
    """One process, in a session of its own."""

    on_message: Callable[[dict[str, Any]], None]
    """Called in the listening thread with every message but the final one."""
    _child: Child | None = None
    _pipe: Connection | None = None
    _ended: "asyncio.Future[Ending] | None" = None
    _killed: bool = False
    _final_message: dict[str, Any] | None = None
    _kills_before: int = 0

    async def start(self, launcher: Launcher, work: Work, assignment: Assignment) -> None:
        """Start the process, and a thread that listens to it. Raises OSError."""
        self._kills_before = linux.out_of_memory_kills()
        # In another thread, because a fork server that is warming up may respond only after a second.
        self._child, self._pipe = await asyncio.to_thread(launcher.launch, work, assignment)
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        threading.Thread(target=self._listen, args=(loop,), name="job-listener", daemon=True).start()

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    async def wait(self) -> Ending:
        """Wait until the process has ended and all its messages are handled."""
        assert self._ended is not None, "the job was not started"
        return await asyncio.shield(self._ended)

    async def end(self, reason: str, grace_s: float) -> None:
        """Ask the job to stop; then send SIGTERM, then SIGKILL to its group. Returns when the process has ended."""
        self._request_stop(reason)
        if await self._ended_within(grace_s):
            return
        self._killed = True
        self._signal(signal.SIGTERM)
        if await self._ended_within(min(TERM_GRACE_S, max(0.5, grace_s))):
            return
        self._signal(signal.SIGKILL)
        await self.wait()

    def kill(self) -> None:
        """Send SIGKILL without asking first."""
        self._killed = True
        self._signal(signal.SIGKILL)

    def _request_stop(self, reason: str) -> None:
        assert self._pipe is not None
        try:
            self._pipe.send_bytes(json.dumps({"reason": reason}).encode())
        except (OSError, ValueError):  # the process has ended already
            return

    async def _ended_within(self, seconds: float) -> bool:
        assert self._ended is not None
        done, _ = await asyncio.wait({self._ended}, timeout=seconds)
        return bool(done)

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is not None:
            process_tree.send_signal(self.pid, number)

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._pipe is not None
        assert self._child is not None
        try:
            while self._final_message is None:
                self._handle(json.loads(self._pipe.recv_bytes(MAX_MESSAGE_BYTES)))
        except (EOFError, ConnectionError):
            pass
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            # Only the code of `Job` writes to this pipe; anything else that writes to it has broken the job.
            self.on_message(_log_message(f"The job sent an unreadable message: {_describe(error)}"))
            self._signal(signal.SIGKILL)
        exit_ = self._child.wait(EXIT_GRACE_S if self._final_message else None)
        if exit_ is None:
            # A thread or an atexit hook keeps the process alive after its final message.
            self._signal(signal.SIGKILL)
            exit_ = self._child.wait(None)
        assert exit_ is not None, "without a timeout it waits for the end"
        ending = Ending(
            self._final_message,
            exit_.code,
            self._killed,
            linux.out_of_memory_kills() > self._kills_before,
            exit_.left_behind,
            exit_.server_lost,
            exit_.last_errors,
        )
        self._pipe.close()
        loop.call_soon_threadsafe(self._set_ended, ending)

    def _set_ended(self, ending: Ending) -> None:
        assert self._ended is not None
        if not self._ended.done():
            self._ended.set_result(ending)

    def _handle(self, message: dict[str, Any]) -> None:
        """Pass a message on. One that cannot be stored is a line in the log: it does not cost the job its work."""
        if message["kind"] == "end":
            self._final_message = message
            return
        try:
            self.on_message(message)
        except Exception as error:  # whatever is in the message, this thread must see the end of the job
            self.on_message(
                _log_message(
                    f"A {message['kind']} message of the job could not be stored: {_describe(error)}"
                )
            )


def _describe(error: Exception) -> str:
    return text_of(" ".join(text_of(error).split()), 500)


def _log_message(text: str) -> dict[str, Any]:
    return {"kind": "log", "level": LogLevel.ERROR, "message": text, "time": time.time()}
