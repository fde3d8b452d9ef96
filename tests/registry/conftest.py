"""Workers on real sockets beside the test: their loop runs in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from registry import auth
from registry.models import Worker
from tests.factories import WorkerFactory
from worker_agent.protocol import PROTOCOL_VERSION
from worker_agent.testing import StubWorker

Neighbour = Callable[..., StubWorker]


@pytest.fixture
def neighbour(db: None) -> Iterator[Neighbour]:
    """`neighbour("name")`: a worker that serves and is registered."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    serving: list[StubWorker] = []

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(20)

    def make(worker_id: str, **fields: Any) -> StubWorker:
        stub = StubWorker(worker_id, "http://127.0.0.1:1", "enrolment")
        run(stub.__aenter__())
        stub.backend_token = auth.backend_token(worker_id, stub.instance_id)
        stub.proof_key = auth.proof_key(worker_id, stub.instance_id)
        stub.client.worker_token = auth.worker_token(worker_id, stub.instance_id)
        serving.append(stub)
        fields.setdefault("protocol_version", PROTOCOL_VERSION)
        WorkerFactory(worker_id=worker_id, instance_id=stub.instance_id, endpoint_url=stub.url, **fields)
        return stub

    yield make
    for stub in serving:
        run(stub.__aexit__(None, None, None))
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def row(worker_id: str) -> Worker:
    return Worker.objects.get(pk=worker_id)
