"""A TCP proxy between backend and agent that can be told to misbehave."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Self


class Fault(StrEnum):
    NONE = "none"
    REFUSE = "refuse"
    """Close each connection at once, before a byte is read."""
    DROP_ANSWER = "drop answer"
    """The request arrives, the connection breaks before the answer."""
    HOLD = "hold"
    """Nothing passes, in either direction, until the fault is lifted."""
    DELAY = "delay"
    """Answers pass late, by `delay_s`."""
    CUT_IN_ANSWER = "cut in the middle of the answer"


def _closing(head: bytes) -> bytes:
    """One request a connection, so that the next one is judged anew."""
    lines = [
        line
        for line in head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        if not line.lower().startswith(b"connection:")
    ]
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])


class FaultyProxy:
    """Listens on a port of its own and forwards to `target` (host, port), from a thread with its own loop."""

    def __init__(self, target: tuple[str, int], delay_s: float = 0.5) -> None:
        self.target = target
        self.delay_s = delay_s
        self.fault = Fault.NONE
        self.matches: Callable[[bytes], bool] = lambda head: True
        self.port = 0
        self.hits = 0
        self._loop = asyncio.new_event_loop()
        self._lifted = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="faulty-proxy", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(5), "the proxy did not start"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def misbehave(self, fault: Fault, matches: Callable[[bytes], bool] = lambda head: True) -> None:
        """From now on, each connection whose first bytes `matches` meets `fault`."""
        self.hits = 0
        self.matches = matches
        self.fault = fault
        if fault is Fault.NONE:
            self._loop.call_soon_threadsafe(self._lifted.set)
        else:
            self._loop.call_soon_threadsafe(self._lifted.clear)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.create_task(self._serve())
        self._loop.run_forever()

    async def _serve(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        self._ready.set()

    async def _stop(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, OSError):
            await self._forward(reader, writer)
        writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        fault = self.fault if self.matches(head) else Fault.NONE
        if fault is not Fault.NONE:
            self.hits += 1
        if fault is Fault.REFUSE:
            return
        if fault is Fault.HOLD:
            await self._lifted.wait()
        upstream_reader, upstream_writer = await asyncio.open_connection(*self.target)
        try:
            upstream_writer.write(_closing(head))
            pump = asyncio.create_task(self._pump(reader, upstream_writer))
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
        if fault is Fault.DROP_ANSWER:
            await upstream.read(1)
            return
        if fault is Fault.CUT_IN_ANSWER:
            writer.write(await upstream.read(20))
            await writer.drain()
            return
        if fault is Fault.DELAY:
            await asyncio.sleep(self.delay_s)
        await self._pump(upstream, writer)

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
