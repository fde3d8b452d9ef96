"""The client for workers: a kept connection is never in the way of the next call, and no response is unpacked."""

import gzip
import socket
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import brotli
import pytest
from aiohttp import web

from registry.endpoint import Endpoint
from registry.worker_client import WorkerClient
from registry.worker_errors import WorkerMisbehaved, WorkerRefused
from worker_agent.protocol import Health, StartRequest


@asynccontextmanager
async def served(callers: list[tuple[str, int]], port: int = 0) -> AsyncIterator[Endpoint]:
    """An idle worker `w`, and from where it was called."""

    async def health(request: web.Request) -> web.Response:
        assert request.transport is not None
        callers.append(request.transport.get_extra_info("peername"))
        said = Health(status="idle", worker_id="w", instance_id="one")
        return web.json_response(text=said.model_dump_json())

    app = web.Application()
    app.router.add_get("/health", health)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    yield Endpoint("w", "one", f"http://127.0.0.1:{runner.addresses[0][1]}", must_prove=False)
    await runner.cleanup()


@pytest.mark.parametrize(("keepalive_s", "connections"), [(5.0, 1), (0.0, 3)])
async def test_calls_share_a_connection_where_one_is_kept(keepalive_s: float, connections: int) -> None:
    callers: list[tuple[str, int]] = []
    async with WorkerClient(keepalive_s=keepalive_s) as client, served(callers) as worker:
        for _ in range(3):
            await client.health(worker)
    assert len(set(callers)) == connections


async def test_a_worker_that_restarted_between_two_calls_is_called_anew_and_one_that_is_gone_has_refused() -> (
    None
):
    callers: list[tuple[str, int]] = []
    async with WorkerClient(keepalive_s=5.0) as client:
        async with served(callers) as worker:
            await client.health(worker)
        port = int(worker.url.rsplit(":", 1)[1])
        async with served(callers, port):
            await client.health(worker)
        with pytest.raises(WorkerRefused):
            await client.health(worker)
    assert len(set(callers)) == 2


ZEROS = bytes(50_000_000)
BOMBS = {
    "gzip": gzip.compress(ZEROS),
    "deflate": zlib.compress(ZEROS),
    "br": brotli.compress(ZEROS, quality=1),
}
NAMES = [*BOMBS, "BR", "zstd", "gzip, br", "x" * 500]
CALLS = ("health", "start", "operation", "metrics", "logs", "cancel", "prometheus_metrics", "drain")


async def call(client: WorkerClient, name: str, worker: Endpoint) -> None:
    arguments: dict[str, tuple[object, ...]] = {
        "start": ("/noop/start", StartRequest(task_id="op", attempt=1)),
        "operation": ("op",),
        "metrics": ("op", 0),
        "logs": ("op", 0),
        "cancel": ("op", 1, ""),
    }
    await getattr(client, name)(worker, *arguments.get(name, ()))


@pytest.mark.parametrize("encoding", NAMES)
@pytest.mark.parametrize("name", CALLS)
async def test_an_encoded_response_of_a_worker_is_refused_and_not_unpacked(name: str, encoding: str) -> None:
    """1,137 bytes of brotli took 2.9 GB and stopped the health sweep."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.headers["Accept-Encoding"])
        await request.read()
        return web.Response(body=BOMBS.get(encoding, b"?"), headers={"Content-Encoding": encoding})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    worker = Endpoint("w", "one", f"http://127.0.0.1:{runner.addresses[0][1]}", must_prove=False)
    try:
        async with WorkerClient() as client:
            with pytest.raises(WorkerMisbehaved, match="is encoded") as refused:
                await call(client, name, worker)
    finally:
        await runner.cleanup()
    assert asked == ["identity"]
    assert len(str(refused.value)) < 200


async def test_a_name_that_leads_elsewhere_since_is_not_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only the resolver knows when a name changes, so the address of each connection is the one that was checked."""
    answers = ["127.0.0.1", "169.254.169.254", "8.8.8.8"]

    def resolve(host: str, *_: object, **__: object) -> list[Any]:
        address = answers.pop(0) if host == "gpu-1.example" else host
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))]

    async with served([]) as worker, WorkerClient() as client:
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        named = replace(worker, url=worker.url.replace("127.0.0.1", "gpu-1.example"))
        assert (await client.health(named)).worker_id == "w"
        for reason in ("169.254.169.254, a link-local", "8.8.8.8, which is outside KTRDR_WORKER_NETWORKS"):
            with pytest.raises(WorkerRefused, match=reason):
                await client.health(named)
    assert not answers  # one question per connection, so the answer that was checked is the one that was used


async def test_each_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, *_: object, **__: object) -> list[Any]:
        addresses = ["127.0.0.9", "127.0.0.1"] if host == "gpu-1.example" else [host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]

    async with served([]) as worker, WorkerClient() as client:
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        named = replace(worker, url=worker.url.replace("127.0.0.1", "gpu-1.example"))
        assert (await client.health(named)).worker_id == "w"


async def test_an_address_outside_the_networks_is_not_called_whatever_is_registered(settings: Any) -> None:
    async with served([]) as worker, WorkerClient() as client:
        await client.health(worker)
        settings.WORKER_NETWORKS = ["10.0.0.0/8"]
        with pytest.raises(WorkerRefused, match="outside KTRDR_WORKER_NETWORKS"):
            await client.health(worker)
