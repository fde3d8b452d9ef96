"""Workers on real sockets beside the test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from registry import auth
from registry.models import Worker
from tests.factories import WorkerFactory
from tests.side_loop import side_loop
from worker_agent.protocol import PROTOCOL_VERSION
from worker_agent.testing import StubWorker

Neighbour = Callable[..., StubWorker]


@pytest.fixture
def neighbour(db: None) -> Iterator[Neighbour]:
    """`neighbour("name")`: a worker that serves and is registered."""
    with side_loop() as run:
        serving: list[StubWorker] = []

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


def row(worker_id: str) -> Worker:
    return Worker.objects.get(pk=worker_id)
