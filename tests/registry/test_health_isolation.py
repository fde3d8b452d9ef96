"""A health response that the database cannot take concerns its worker only."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from registry import health, health_checks
from registry.endpoint import Endpoint
from registry.models import Worker
from tests.factories import WorkerFactory
from worker_agent.protocol import AgentState, Health

pytestmark = pytest.mark.django_db
NAMES = ("a", "bad", "c")


def test_one_worker_whose_health_cannot_be_written_leaves_the_others_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers = {name: WorkerFactory(worker_id=name, last_healthy_at=None) for name in NAMES}

    class Client:
        def __init__(self, **options: Any) -> None:
            pass

        async def __aenter__(self) -> "Client":
            return self

        async def __aexit__(self, *error: object) -> None:
            return

        async def health(self, worker: Endpoint) -> Health:
            return Health(
                status=AgentState.IDLE,
                worker_id=worker.worker_id,
                instance_id=workers[worker.worker_id].instance_id,
                resources={"cpu_percent": 1.0, "name": worker.worker_id},
            )

    def dumps(value: Any) -> str:
        return "{not json" if isinstance(value, dict) and value["name"] == "bad" else "[]"

    monkeypatch.setattr(health_checks, "WorkerClient", Client)
    monkeypatch.setattr(health_checks.json, "dumps", dumps)
    with capture_logs() as logs:
        health_checks.write_healthy(
            {
                name: Endpoint(name, row.instance_id, row.endpoint_url, must_prove=False)
                for name, row in workers.items()
            },
            health_checks.check_all(
                [
                    Endpoint(name, row.instance_id, row.endpoint_url, must_prove=False)
                    for name, row in workers.items()
                ]
            ).healthy,
            health.Sweep.objects.create(kind="health"),
        )
    checked = Worker.objects.filter(last_healthy_at__isnull=False)
    assert set(checked.values_list("pk", flat=True)) == {"a", "c"}
    assert [line["worker_id"] for line in logs if "worker_id" in line] == ["bad"]
