"""How Prometheus finds the workers and reads them."""

import pytest
from django.db.models.functions import Now
from rest_framework.test import APIClient

from tests.factories import WorkerFactory
from tests.registry.conftest import Neighbour
from worker_agent.testing import hang, lose_answer, status

pytestmark = pytest.mark.django_db


def test_the_registered_workers_are_targets_on_this_site(api: APIClient, neighbour: Neighbour) -> None:
    neighbour("w:1", worker_type="training")
    WorkerFactory(worker_id="w-2")
    first, second = api.get("/metrics/workers").json()
    assert first["targets"] == ["testserver"]
    assert first["labels"]["instance"] == "w-2"
    labels = second["labels"]
    assert (labels["__scheme__"], labels["instance"], labels["worker_type"]) == ("http", "w:1", "training")
    printed = api.get(labels["__metrics_path__"])
    assert printed["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert printed.content == b"ktrdr_agent_busy 0\n"


@pytest.mark.parametrize(
    ("instead", "says"),
    [
        (hang, "no response within 0.5 s"),
        (lose_answer, "the connection broke"),
        (status(404), "answered with 404"),
        (status(401), "does not know this backend"),
    ],
)
def test_a_worker_that_cannot_be_read_is_down_for_prometheus_and_says_why(
    api: APIClient, neighbour: Neighbour, instead: object, says: str
) -> None:
    neighbour("w-1").instead["prometheus_metrics"].append(instead)
    answer = api.get("/workers/w-1/metrics")
    assert answer.status_code == 503
    assert says in answer.json()["detail"]


def test_a_worker_that_is_known_to_be_away_is_not_asked(api: APIClient, neighbour: Neighbour) -> None:
    stub = neighbour(
        "w-1", status="TEMPORARILY_UNAVAILABLE", unavailable_since=Now(), health_problem="refused"
    )
    assert "refused" in api.get("/workers/w-1/metrics").json()["detail"]
    assert stub.requests == []


@pytest.mark.parametrize("path", ["/metrics", "/metrics/workers", "/workers/w-1/metrics"])
def test_strangers_read_no_figures(client: APIClient, path: str) -> None:
    assert client.get(path).status_code == 401


def test_an_unknown_worker_has_none(api: APIClient) -> None:
    assert api.get("/workers/nobody/metrics").status_code == 404
