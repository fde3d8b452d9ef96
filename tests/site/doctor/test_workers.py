"""Missing and faulty workers are found."""

import socket
from typing import Any

import pytest

from access.actors import Actor
from ktrdr_site.doctor import versions, workers
from ktrdr_site.doctor.finding import Severity
from registry import enrolment
from registry.models import Worker
from tests.factories import WorkerFactory
from tests.registry.conftest import Neighbour
from tests.site.doctor.findings import only
from worker_agent.testing import hang, status
from worker_agent.version import version

database_needed = pytest.mark.django_db


@database_needed
def test_a_site_without_any_enrolment_token_is_found(settings: Any) -> None:
    settings.WORKER_TOKEN = ""
    assert "workers cannot register" in only(workers.can_enrol()).problem
    token, _ = enrolment.issue("pool", [], Actor("user:test"))
    assert list(workers.can_enrol()) == []
    enrolment.revoke(token, Actor("user:test"))
    assert "create_enrolment_token" in only(workers.can_enrol()).remedy


@database_needed
def test_a_site_without_workers_is_found() -> None:
    assert "No worker is registered" in only(workers.reachable(), Severity.WARNING).problem


@database_needed
def test_a_worker_that_refuses_the_connection_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    WorkerFactory(worker_id="w-1", endpoint_url=f"http://127.0.0.1:{port}")
    finding = only(workers.reachable())
    assert finding.problem == f"Cannot use w-1 at http://127.0.0.1:{port}: connection refused."
    assert "--public-url" in finding.remedy


@database_needed
@pytest.mark.parametrize(
    ("instead", "reason", "remedy"),
    [
        (hang, "no response within 0.3 s", "firewall"),
        (status(401), "401, the worker does not know this backend", "KTRDR_SECRET_KEY"),
        (status(200, "<html>"), "the response is not a valid Health", "which process"),
    ],
)
def test_a_worker_that_answers_badly_is_found_with_the_reason(
    neighbour: Neighbour, settings: Any, instead: Any, reason: str, remedy: str
) -> None:
    if instead is hang:
        settings.HEALTH_TIMEOUT_S = 0.3
    neighbour("w-1").instead["health"].append(instead)
    finding = only(workers.reachable())
    assert reason in finding.problem
    assert remedy in finding.remedy


@database_needed
def test_a_worker_whose_tls_does_not_fit_is_found_with_what_is_wrong_with_it(neighbour: Neighbour) -> None:
    plain = neighbour("w-1")
    Worker.objects.update(endpoint_url=plain.url.replace("http:", "https:"))
    finding = only(workers.reachable())
    assert "the worker does not speak TLS at its https address" in finding.problem
    assert "KTRDR_WORKER_CA" in finding.remedy


@database_needed
def test_workers_of_several_versions_and_one_that_is_too_old_are_found() -> None:
    WorkerFactory.create_batch(7, version="1.0")
    WorkerFactory(worker_id="old", version="0.9", protocol_version=0)
    too_old, mixed = versions.workers()
    assert (too_old.severity, mixed.severity) == (Severity.PROBLEM, Severity.WARNING)
    assert "old speaks protocol version 0" in too_old.problem
    assert "and 2 more" in mixed.problem
    assert f"this site runs {version()}" in mixed.problem


@database_needed
def test_workers_of_another_version_than_the_site_are_found() -> None:
    WorkerFactory(worker_id="same", version=version())
    assert list(versions.workers()) == []
    Worker.objects.update(version="0.1.0.post20260101000000+g0000000")
    finding = only(versions.workers(), Severity.WARNING)
    assert "another version (0.1.0.post20260101000000+g0000000: same)" in finding.problem
