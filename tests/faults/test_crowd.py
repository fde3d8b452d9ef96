"""Everybody comes back in the same second."""

import asyncio
import random
from contextlib import AsyncExitStack, suppress

import httpx

from tests.calibration import TimeLimit
from tests.faults.system import System
from tests.waiting import until
from worker_agent.backend.errors import Unauthorized
from worker_agent.protocol import Deregistration
from worker_agent.testing import StubWorker

AGENTS = 200
ALL_WITHIN_S = 30.0
A_PERSON_WAITS_S = 5.0
ASKERS_GIVE_UP_WITHIN_S = 1.5
"""Connections that were being accepted when their server closed end by the backend's timeout: asyncio cannot wait for them."""


def test_two_hundred_agents_that_register_in_one_second_all_get_in_and_shut_nobody_out(
    system: System,
) -> None:
    """lesson W17"""
    running = system.api.submit(seconds=2.0)
    system.api.until_running(running)
    asyncio.run(crowd(system))
    until(lambda: not any(name.startswith("crowd-") for name in system.api.workers()), "they have left", 20)


async def in_this_second(agent: StubWorker) -> None:
    await asyncio.sleep(random.uniform(0, 1))
    await agent.register()


async def leave(agent: StubWorker) -> None:
    with suppress(Unauthorized):  # one that was silent for long beside two hundred others is gone already
        await agent.client.deregister(
            Deregistration(worker_id=agent.worker_id, instance_id=agent.instance_id)
        )


async def crowd(system: System) -> None:
    """Register all agents while a person reads the list of workers again and again."""
    token = system.processes.environment["KTRDR_WORKER_TOKEN"]
    agents = [
        StubWorker(f"crowd-{number}", system.api.url, token, worker_type="crowd") for number in range(AGENTS)
    ]
    async with AsyncExitStack() as stack:
        for agent in agents:
            agent.tls = system.certificates.serving if system.certificates else None
            await stack.enter_async_context(agent)
        coming = asyncio.gather(*(in_this_second(agent) for agent in agents))
        limit = TimeLimit(ALL_WITHIN_S)
        headers = {"Authorization": f"Bearer {system.api.token}"}
        async with httpx.AsyncClient(headers=headers, timeout=60) as person:
            while not coming.done():
                wait = TimeLimit(A_PERSON_WAITS_S)
                response = await person.get(f"{system.api.url}/workers?limit=1")
                assert response.status_code == 200
                assert not await wait.has_passed_async(), f"a person waited {wait.elapsed_s:.1f} s"
                assert not await limit.has_passed_async(), (
                    f"not all have registered in {limit.elapsed_s:.1f} s"
                )
                await asyncio.wait({coming}, timeout=0.1)
            await coming
        assert all(agent.backend_token for agent in agents)
        await asyncio.gather(*(leave(agent) for agent in agents))
    await asyncio.sleep(system.clock_factor * ASKERS_GIVE_UP_WITHIN_S)
