"""Everybody comes back in the same second."""

import asyncio
import random
import time
from contextlib import AsyncExitStack, suppress

import httpx
import pytest

from tests.faults.system import System
from tests.waiting import until
from worker_agent.backend.client import Unauthorized
from worker_agent.protocol import Deregistration
from worker_agent.testing import StubWorker

AGENTS = 200
ALL_WITHIN_S = 30.0
A_PERSON_WAITS_S = 5.0
ASKERS_GIVE_UP_WITHIN_S = 1.5
"""Connections that were being accepted when their server closed end by the backend's timeout: asyncio cannot wait for them."""


@pytest.mark.alone
def test_two_hundred_agents_that_register_in_one_second_all_get_in_and_shut_nobody_out(
    system: System,
) -> None:
    """lesson W17"""
    running = system.api.submit(seconds=2.0)
    system.api.until_running(running)
    waits = asyncio.run(crowd(system))
    assert max(waits) < A_PERSON_WAITS_S, f"a person waited {max(waits):.1f} s"
    until(lambda: not any(name.startswith("crowd-") for name in system.api.workers()), "they have left", 20)


async def in_this_second(agent: StubWorker) -> None:
    await asyncio.sleep(random.uniform(0, 1))
    await agent.register()


async def leave(agent: StubWorker) -> None:
    with suppress(Unauthorized):  # one that was silent for long beside two hundred others is gone already
        await agent.client.deregister(
            Deregistration(worker_id=agent.worker_id, instance_id=agent.instance_id)
        )


async def crowd(system: System) -> list[float]:
    """Seconds that a person waited for each look at the list of workers, while the crowd came in."""
    token = system.processes.environment["KTRDR_WORKER_TOKEN"]
    agents = [
        StubWorker(f"crowd-{number}", system.api.url, token, worker_type="crowd") for number in range(AGENTS)
    ]
    async with AsyncExitStack() as stack:
        for agent in agents:
            agent.tls = system.certificates.serving if system.certificates else None
            await stack.enter_async_context(agent)
        coming = asyncio.gather(*(in_this_second(agent) for agent in agents))
        waits = []
        async with (
            asyncio.timeout(ALL_WITHIN_S),
            httpx.AsyncClient(headers={"Authorization": f"Bearer {system.api.token}"}, timeout=10) as person,
        ):
            while not coming.done():
                begun = time.monotonic()
                answer = await person.get(f"{system.api.url}/workers?limit=1")
                assert answer.status_code == 200
                waits.append(time.monotonic() - begun)
                await asyncio.wait({coming}, timeout=0.1)
            await coming
        assert all(agent.backend_token for agent in agents)
        await asyncio.gather(*(leave(agent) for agent in agents))
    await asyncio.sleep(ASKERS_GIVE_UP_WITHIN_S)
    return waits
