"""A connection that is kept for the next call is never in its way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from registry.worker_client import Endpoint, WorkerClient, WorkerRefused
from worker_agent.protocol import Health


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
    yield Endpoint("w", "one", f"http://127.0.0.1:{runner.addresses[0][1]}")
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
