"""A TCP proxy between backend and agent that can be told to misbehave.

It has to read a request to know whether it is the one. Where the agent serves https, the proxy therefore ends that TLS
with a certificate of the same CA, and speaks TLS anew to the agent, whose certificate it checks: a fault meets the
plain request, and both of its neighbours meet it as what became of a TLS connection.
"""

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Self

from tests.faults.certificates import Certificates


class Fault(StrEnum):
    """The treatment of a matching request."""

    NONE = "none"
    REFUSE = "refuse"
    """The connection is closed at once, before anything is read on."""
    SWALLOW = "swallow"
    """One direction is cut: the request never arrives, and nobody is told until the fault is lifted."""
    MUTE = "mute"
    """The other direction is cut: it arrives, the answer does not, and nobody is told until the fault is lifted."""
    DROP_ANSWER = "drop answer"
    """It arrives, and the connection breaks before the answer."""
    CUT_IN_ANSWER = "cut in answer"
    """The connection breaks in the middle of the answer."""
    HOLD = "hold"
    """Nothing passes, in either direction, until the fault is lifted; then all of it does."""
    LATE = "late"
    """The answer comes when its asker has given up."""
    TWICE = "twice"
    """It is delivered twice; the second answer is passed on."""


Matcher = Callable[[bytes], bool]


def anything(head: bytes) -> bool:
    return True


def request(method: str, path: str) -> Matcher:
    """Of this method, to a path that this pattern matches from its beginning."""
    pattern = re.compile(rf"{method} {path}".encode())
    return lambda head: pattern.match(head) is not None


def _closing(head: bytes) -> bytes:
    """One request a connection, so that the next one is judged anew."""
    lines = [
        line
        for line in head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        if not line.lower().startswith((b"connection:", b"expect:"))
    ]
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])


class FaultyProxy:
    """Listens on a port of its own and forwards to `target` (host, port), from a thread with its own loop."""

    def __init__(self, target: tuple[str, int], certificates: Certificates | None = None) -> None:
        self.target = target
        self.certificates = certificates
        self.fault = Fault.NONE
        self.lasts_s: float | None = None
        self.late_s = 0.0
        self.matches: Matcher = anything
        self.port = 0
        self.hits = 0
        """Requests that met the present fault, or the last one."""
        self._loop = asyncio.new_event_loop()
        self._lifted = asyncio.Event()
        self._end: asyncio.TimerHandle | None = None
        self._held: set[asyncio.Task[None] | None] = set()
        """Requests under way: a loop itself holds its tasks weakly, and one whose sender went away is collected."""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="faulty-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"{'https' if self.certificates else 'http'}://127.0.0.1:{self.port}"

    def misbehave(
        self, fault: Fault, matches: Matcher = anything, lasts_s: float | None = None, late_s: float = 1.5
    ) -> None:
        """From now on, each request whose head `matches` meets `fault`: until `behave`, or for `lasts_s` after the first.

        An answer that is late comes `late_s` later.
        """
        asyncio.run_coroutine_threadsafe(self._set(fault, matches, lasts_s, late_s), self._loop).result()

    def behave(self) -> None:
        """Lift the fault, also for the requests that it holds."""
        asyncio.run_coroutine_threadsafe(self._set(Fault.NONE), self._loop).result()

    async def _set(
        self, fault: Fault, matches: Matcher = anything, lasts_s: float | None = None, late_s: float = 0.0
    ) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None
        self.fault, self.matches, self.lasts_s, self.late_s = fault, matches, lasts_s, late_s
        if fault is Fault.NONE:
            self._lifted.set()
        else:
            self.hits = 0
            self._lifted.clear()

    def _hit(self) -> None:
        self.hits += 1
        if self.lasts_s is not None and self._end is None:
            self._end = self._loop.call_later(self.lasts_s, self._lift)

    def _lift(self) -> None:
        self.fault = Fault.NONE
        self._lifted.set()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._serving = self._loop.create_task(self._serve())
        self._loop.run_forever()

    async def _serve(self) -> None:
        context = self.certificates.serving if self.certificates else None
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        self._ready.set()

    async def _stop(self) -> None:
        self._server.close()
        # All of this loop, since asyncio's own are among them: TLS handshakes whose other side went away.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = asyncio.current_task()
        self._held.add(request)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, OSError):
                await self._request(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
            return
        finally:
            self._held.discard(request)
        writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        fault = self.fault if self.matches(head) else Fault.NONE
        if fault is not Fault.NONE:
            self._hit()
        match fault:
            case Fault.REFUSE:
                return
            case Fault.SWALLOW:
                await self._lifted.wait()
                return
            case Fault.HOLD:
                await self._lifted.wait()
            case Fault.TWICE:
                body = await _body(head, reader)
                await self._ask(head, body)
                writer.write(await self._ask(head, body))
                await writer.drain()
                return
        await self._forward(fault, head, reader, writer)

    async def _to_target(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = self.certificates.asking if self.certificates else None
        return await asyncio.open_connection(*self.target, ssl=context)

    async def _ask(self, head: bytes, body: bytes) -> bytes:
        """The whole answer."""
        reader, writer = await self._to_target()
        try:
            writer.write(_closing(head) + body)
            return await reader.read()
        finally:
            writer.close()

    async def _forward(
        self, fault: Fault, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        upstream_reader, upstream_writer = await self._to_target()
        try:
            upstream_writer.write(_closing(head))
            pump = asyncio.create_task(_pump(reader, upstream_writer))
            try:
                await self._answer(fault, upstream_reader, writer)
            finally:
                pump.cancel()
                await asyncio.gather(pump, return_exceptions=True)
        finally:
            upstream_writer.close()

    async def _answer(
        self, fault: Fault, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        match fault:
            case Fault.DROP_ANSWER:
                await upstream.read(1)
                return
            case Fault.MUTE:
                await upstream.read(1)
                await self._lifted.wait()
                return
            case Fault.CUT_IN_ANSWER:
                writer.write(await upstream.read(20))
                await writer.drain()
                return
            case Fault.LATE:
                await asyncio.sleep(self.late_s)
        await _pump(upstream, writer)


async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    """As long as the head says; requests of this product are never chunked here."""
    found = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    return await reader.readexactly(int(found[1])) if found else b""


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
