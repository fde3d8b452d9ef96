"""Connections to workers: what a hostile or broken one sends harms neither the next call nor another worker's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h11
import pytest

from registry import connection_pool
from registry.checked_connections import Origin
from registry.connection_pool import ConnectionPool
from registry.http_connection import MAX_EVENTS, HttpConnection, Received
from registry.worker_errors import WorkerError, WorkerMisbehaved, WorkerRefused, WorkerUncertain

REQUEST = (h11.Request(method="GET", target="/", headers=[("Host", "w")]), h11.EndOfMessage())
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FORGED = OK.replace(b"ok", b"no")
MAX_BYTES = 1_000
WAIT_S = 30.0


class Server:
    """Answers each request with `response`, and keeps or closes the connection."""

    def __init__(self, response: bytes, closes: bool = False) -> None:
        self.response, self.closes = response, closes
        self.connections = 0
        self.ended = asyncio.Semaphore(0)
        self.origin = Origin(False, "127.0.0.1", 0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(self.response)
                if self.closes:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        self.ended.release()
        writer.close()


@asynccontextmanager
async def serving(response: bytes = OK, closes: bool = False) -> AsyncIterator[Server]:
    server = Server(response, closes)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listener:
        server.origin = Origin(False, "127.0.0.1", listener.sockets[0].getsockname()[1])
        yield server


@asynccontextmanager
async def pool_of(limit: int = 10, keepalive_s: float = 60.0) -> AsyncIterator[ConnectionPool]:
    pool = ConnectionPool(limit, keepalive_s, timeout_s=WAIT_S)
    async with asyncio.timeout(WAIT_S):
        yield pool
        await pool.close()


async def call(pool: ConnectionPool, server: Server) -> Received:
    return await pool.exchange(server.origin, REQUEST, MAX_BYTES)


@pytest.mark.parametrize(
    ("response", "closes", "content"),
    [
        (OK, False, b"ok"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK, False, b"ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", False, b"ok"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil it closes", True, b"until it closes"),
    ],
)
async def test_each_form_of_a_response_is_read(response: bytes, closes: bool, content: bytes) -> None:
    async with serving(response, closes) as server, pool_of() as pool:
        received = await call(pool, server)
    assert (received.status, received.content) == (200, content)


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (b"", WorkerUncertain),
        (b"SSH-2.0-secret\r\n", WorkerUncertain),
        (OK[:-1], WorkerUncertain),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", WorkerUncertain),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", WorkerUncertain),
        (b"HTTP/1.1 200 OK\r\nX: " + bytes(200_000), WorkerUncertain),
        (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(MAX_BYTES + 1), WorkerMisbehaved),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: identity, br\r\n\r\n", WorkerMisbehaved),
    ],
    ids=["nothing", "not HTTP", "cut off", "upgrade", "two lengths", "long headers", "long body", "encoded"],
)
async def test_a_defective_response_is_refused_and_its_connection_closed(
    response: bytes, error: type[WorkerError]
) -> None:
    async with serving(response, closes=True) as server, pool_of() as pool:
        with pytest.raises(error) as raised:
            await call(pool, server)
        await server.ended.acquire()
    assert "secret" not in str(raised.value)
    assert raised.type is error


async def test_nobody_listens() -> None:
    async with serving() as server:
        pass
    async with pool_of() as pool:
        with pytest.raises(WorkerRefused, match=r"^cannot connect: Connection refused$"):
            await call(pool, server)


async def test_bytes_behind_a_response_are_not_the_response_to_the_next_request() -> None:
    async with serving(OK + FORGED) as server, pool_of() as pool:
        for _ in range(3):
            assert (await call(pool, server)).content == b"ok"
    assert server.connections == 3


async def test_bytes_that_come_later_are_not_the_response_to_the_next_request() -> None:
    connection, transport = HttpConnection(), Transport()
    connection.connection_made(transport)  # type: ignore[arg-type]  # stands for it
    exchange = asyncio.create_task(connection.exchange(REQUEST, MAX_BYTES))
    await asyncio.sleep(0)
    connection.data_received(OK)
    connection.data_received(FORGED)
    assert (await exchange).content == b"ok"
    assert transport.is_aborted
    assert not connection.is_reusable()


class Transport:
    def __init__(self) -> None:
        self.is_aborted = self.is_paused = False

    def write(self, data: bytes) -> None:
        pass

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


async def test_a_response_of_many_parts_is_not_parsed_at_once() -> None:
    """256 KiB of chunks of one byte stopped the dispatcher for a second."""
    connection, transport = HttpConnection(), Transport()
    connection.connection_made(transport)  # type: ignore[arg-type]  # stands for it
    exchange = asyncio.create_task(connection.exchange(REQUEST, MAX_EVENTS * 10))
    await asyncio.sleep(0)
    parts = MAX_EVENTS * 5
    connection.data_received(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * parts + b"0\r\n\r\n"
    )
    turns = 0
    while not exchange.done():
        assert transport.is_paused or turns >= parts // MAX_EVENTS
        turns += 1
        await asyncio.sleep(0)
    assert turns >= parts // MAX_EVENTS
    assert len((await exchange).content) == parts
    assert not transport.is_paused
    assert connection.is_reusable()


@pytest.mark.parametrize("is_parallel", [True, False])
async def test_there_are_never_more_connections_than_the_limit(
    is_parallel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kept connection gives way to a call to another worker."""
    opened: list[HttpConnection] = []
    numbers: list[int] = []

    async def connect(*arguments: Any) -> HttpConnection:
        opened.append(await original(*arguments))
        numbers.append(sum(not connection.closed.done() for connection in opened))
        return opened[-1]

    original = connection_pool.connect
    monkeypatch.setattr(connection_pool, "connect", connect)
    async with serving() as one, serving() as two, serving() as three, pool_of(limit=2) as pool:
        for _ in range(3):
            calls = [call(pool, server) for server in (one, two, three)]
            if is_parallel:
                await asyncio.gather(*calls)
            else:
                for each in calls:
                    await each
    assert max(numbers) == 2


async def test_a_kept_connection_is_closed_after_its_time() -> None:
    async with serving() as server, pool_of(keepalive_s=0.01) as pool:
        await call(pool, server)
        await server.ended.acquire()
        await call(pool, server)
    assert server.connections == 2


async def test_a_cancelled_call_closes_its_connection_and_frees_its_place() -> None:
    async with (
        serving(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nand") as server,
        pool_of(limit=1) as pool,
    ):
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await call(pool, server)
            await server.ended.acquire()
    assert server.connections == 3


async def test_the_end_of_the_client_closes_what_it_keeps() -> None:
    async with serving() as server, pool_of() as pool:
        await asyncio.gather(*(call(pool, server) for _ in range(3)))
        await pool.close()
        for _ in range(3):
            await server.ended.acquire()
