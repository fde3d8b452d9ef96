"""How often an agent connects to the site."""

from typing import Any

import pytest
from aiohttp import web

from tests.agent.conftest import TOKEN
from tests.agent.test_encodings import registration
from worker_agent.backend.client import BackendClient
from worker_agent.backend.errors import BackendError
from worker_agent.protocol import Outcome, Report
from worker_agent.testing import FakeBackend, lose_request

NUMBER = 5


def a_report(number: int) -> Report:
    return Report(attempt=number, instance_id="i", outcome=Outcome.COMPLETED, result={})


async def test_reports_one_after_the_other_share_a_connection_until_it_breaks(backend: FakeBackend) -> None:
    connections: list[Any] = []

    async def note(request: web.Request, handle: Any) -> web.StreamResponse:
        connections.append(request.transport)
        response: web.StreamResponse = await handle()
        return response

    async with BackendClient(backend.url, TOKEN) as client:
        client.worker_token = (await client.register(registration())).worker_token
        for number in range(1, NUMBER + 1):
            backend.instead["report"].append(note)
            await client.report("op", a_report(number))
        assert len(set(map(id, connections))) == 1
        backend.instead["report"].append(lose_request)
        with pytest.raises(BackendError):
            await client.report("op", a_report(NUMBER + 1))
        backend.instead["report"].append(note)
        await client.report("op", a_report(NUMBER + 2))
    assert [report.attempt for report in backend.reports_of("op")] == [*range(1, NUMBER + 1), NUMBER + 2]
    assert connections[-1] is not connections[0]
