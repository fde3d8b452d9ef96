"""Nothing that agent and backend send each other is unpacked: the bytes on the wire are those that are counted."""

import asyncio
import gzip
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.agent.conftest import TOKEN, RunningAgent
from worker_agent.backend.client import MAX_RESPONSE_BYTES, BackendClient
from worker_agent.backend.errors import BackendError
from worker_agent.protocol import Registration
from worker_agent.testing import FakeBackend

ZEROS = bytes(50_000_000)
BOMBS = {"gzip": gzip.compress(ZEROS), "deflate": zlib.compress(ZEROS)}
NAMES = [*BOMBS, "GZIP", "br", "zstd", "compress", "gzip, identity", "x" * 500, "identity;q=1"]
Answer = Callable[[web.Request, Any], Awaitable[web.StreamResponse]]


def encoded(name: str, status: int = 200) -> Answer:
    async def answer(_: web.Request, __: Any) -> web.StreamResponse:
        body = BOMBS.get(name, b"not what it claims to be")
        return web.Response(body=body, status=status, headers={"Content-Encoding": name})

    return answer


def registration() -> Registration:
    return Registration(
        worker_id="w", worker_type="working", endpoint_url="http://127.0.0.1:1", instance_id="i", version="1"
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", [200, 401, 422, 500])
async def test_an_agent_refuses_an_encoded_response(backend: FakeBackend, name: str, status: int) -> None:
    async with BackendClient(backend.url, TOKEN) as client:
        backend.instead["register"].append(encoded(name, status))
        with pytest.raises(BackendError, match="is encoded") as refused:
            await client.register(registration())
        assert len(str(refused.value)) < 300
        assert (await client.register(registration())).worker_id == "w", "the next one is read"


@pytest.mark.parametrize("name", NAMES)
async def test_an_agent_refuses_an_encoded_file(backend: FakeBackend, name: str, tmp_path: Path) -> None:
    kept = backend.keep("a.txt", b"of A")
    async with BackendClient(backend.url, TOKEN) as client:
        await client.register(registration())
        backend.instead["get_file"].append(encoded(name))
        with pytest.raises(BackendError, match="is encoded"):
            await client.get_file(kept.sha256, tmp_path / "file", kept.size, "secret")
    assert list(tmp_path.iterdir()) == []


async def test_an_agent_asks_for_no_encoding_and_reads_a_response_in_pieces(backend: FakeBackend) -> None:
    asked: list[str] = []

    async def in_pieces(request: web.Request, handle: Any) -> web.StreamResponse:
        asked.append(request.headers["Accept-Encoding"])
        content = (await handle()).body
        response = web.StreamResponse()
        await response.prepare(request)
        for start in range(0, len(content), 10):
            await response.write(content[start : start + 10])
            await asyncio.sleep(0)
        return response

    backend.instead["register"].append(in_pieces)
    async with BackendClient(backend.url, TOKEN) as client:
        assert (await client.register(registration())).worker_id == "w"
    assert asked == ["identity"]


async def test_an_agent_refuses_a_response_that_is_too_long(backend: FakeBackend) -> None:
    async def long(_: web.Request, __: Any) -> web.StreamResponse:
        return web.Response(body=bytes(MAX_RESPONSE_BYTES + 1))

    backend.instead["register"].append(long)
    async with BackendClient(backend.url, TOKEN) as client:
        with pytest.raises(BackendError, match="longer than"):
            await client.register(registration())


@pytest.mark.parametrize("name", NAMES)
async def test_an_agent_unpacks_no_request(agent: RunningAgent, backend: FakeBackend, name: str) -> None:
    worker = await agent.start()
    headers = {
        "Authorization": f"Bearer backend-{worker.instance_id}",
        "Content-Encoding": name,
        "Content-Type": "application/json",
    }
    async with aiohttp.ClientSession() as session:
        body = BOMBS.get(name, b"{}")
        async with session.post(f"{worker.endpoint_url}/work/start", data=body, headers=headers) as response:
            assert response.status == 415
    status, _ = await backend.start(worker, "op")
    assert status == 200


@pytest.mark.parametrize("token", [b"\xe9", b"\xff\xfe", "é€".encode(), b"\x80" * 100])
async def test_a_bearer_token_that_is_not_ascii_is_refused(
    agent: RunningAgent, backend: FakeBackend, token: bytes
) -> None:
    worker = await agent.start()
    host, port = worker.endpoint_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer " + token + b"\r\n\r\n"
    )
    assert (await reader.readline()).split()[1] in (b"401", b"400")
    writer.close()
