"""The proxy that stands inside TLS sees what it is to disturb, and neither side notices it otherwise."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.faults.certificates import Certificates
from tests.faults.proxy import Fault, FaultyProxy, request
from worker_agent.testing import StubWorker


@pytest.mark.slow  # in a soak only: a run without TLS makes no certificates
async def test_a_proxy_inside_tls_disturbs_the_request_that_it_is_told_to_and_passes_the_others(
    tmp_path: Path,
) -> None:
    certificates = Certificates(tmp_path)
    agent = StubWorker("behind", "http://127.0.0.1:1", "")
    agent.tls = certificates.serving
    async with agent, httpx.AsyncClient(verify=certificates.asking, timeout=5) as backend:
        with FaultyProxy(("127.0.0.1", int(agent.url.rsplit(":", 1)[1])), certificates=certificates) as proxy:
            proxy.misbehave(Fault.CUT_IN_ANSWER, request("GET", "/health"))
            with pytest.raises(httpx.RemoteProtocolError):
                await backend.get(f"{proxy.url}/health")
            passed = await backend.get(f"{proxy.url}/metrics")
            assert passed.status_code == 200
            assert proxy.hits == 1
            proxy.misbehave(Fault.TWICE, request("GET", "/health"))
            assert (await backend.get(f"{proxy.url}/health")).json()["worker_id"] == "behind"
            assert agent.count("health") == 3
            await asyncio.to_thread(proxy.behave)
