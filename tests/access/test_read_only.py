"""A read-only pause refuses every change with 503, keeps every page readable, and can be ended."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from rest_framework.test import APIClient

from ktrdr_site import settings as site_settings
from ktrdr_site.observability import readiness
from ktrdr_site.observability.prometheus import metric_registry
from ktrdr_site.schedules import Leader as SchedulesLeader
from ktrdr_site.web.read_only import OPEN, SAFE_METHODS
from operations import dispatch_pauses
from operations.actors import Actor
from operations.dispatching.dispatcher import Dispatcher
from operations.models import Attempt, Operation
from registry import schedules
from studies.rounds import Leader as StudiesLeader
from tests.access.callers import Callers
from tests.access.routes import METHODS, own_routes
from tests.claiming import claim_next
from tests.factories import OperationFactory, WorkerFactory

pytestmark = pytest.mark.django_db
ME = Actor("user:me")
UNSAFE = sorted({*METHODS} - SAFE_METHODS)
WRITING = ("INSERT", "UPDATE", "DELETE", "SELECT pg_notify")


@contextmanager
def requires_no_write(what: str) -> Iterator[None]:
    written = []

    def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith(WRITING):
            written.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        yield
    assert not written, f"{what}: {written}"


def test_every_change_is_refused_and_stores_nothing() -> None:
    callers = Callers.made()
    dispatch_pauses.begin(ME, "new disk", read_only=True)
    refused = 0
    for number, route in enumerate(own_routes()):
        address = callers.address(route, "staff")
        if resolve(address).view_name in OPEN:
            continue
        method = UNSAFE[number % len(UNSAFE)]
        caller = "worker" if route.pattern.startswith(("workers/", "artifacts/")) else "staff"
        with requires_no_write(f"{method} {address}"):
            answer = callers.clients[caller].generic(method, address)
        assert answer.status_code == 503, f"{method} {address}: {answer.status_code}"
        assert answer["Retry-After"] == "30"
        refused += 1
    assert refused > 100
    assert Client().post("/admin/operations/operation/").status_code == 503
    assert callers.clients["staff"].post("/api/v1/operations").status_code == 503


@pytest.mark.parametrize("method", UNSAFE)
def test_every_unsafe_method_is_refused_by_everybody(method: str) -> None:
    dispatch_pauses.begin(ME, "new disk", read_only=True)
    for address in ("/operations", "/workers/register", "/dashboard/act"):
        assert Client().generic(method, address).status_code == 503, address
    assert Client().generic(method, "/nowhere").status_code == 404, "nothing there can be changed"


def test_that_the_site_is_writable_is_remembered_for_less_than_a_pause_waits(
    settings: Any, staff: Any
) -> None:
    assert site_settings.WRITABLE_CACHE_S < dispatch_pauses.NOTICED_AFTER_S
    settings.WRITABLE_CACHE_S = 60.0
    client = Client()
    client.force_login(staff)
    assert client.post("/dashboard/act").status_code != 503
    with CaptureQueriesContext(connection) as queries:
        client.post("/dashboard/act")
    assert not any("read_only" in query["sql"] for query in queries)
    dispatch_pauses.begin(ME, "new disk", read_only=True)
    other = Client()
    assert other.post("/dashboard/act").status_code == 503
    dispatch_pauses.end(ME)
    assert other.post("/dashboard/act").status_code != 503, "the end is noticed at once"


def test_a_program_gets_a_problem_and_a_person_a_page(api: APIClient, client: Client, staff: Any) -> None:
    dispatch_pauses.begin(ME, "new disk", read_only=True)
    answer = api.post("/operations/cancel", {"ids": []}, format="json")
    assert answer["Content-Type"] == "application/problem+json"
    assert "read-only for maintenance; nothing was changed" in answer.json()["detail"]
    assert api.get("/operations").status_code == 200
    client.force_login(staff)
    assert client.get("/dashboard/operations").status_code == 200
    page = client.post("/dashboard/act", {"act": "cancel"})
    assert (page.status_code, page["Content-Type"]) == (503, "text/html; charset=utf-8")
    text = page.content.decode()
    assert "Nothing was changed" in text
    assert "The site is read-only</strong>" in text
    assert "new disk" in text


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
def test_staff_sign_in_and_end_it(staff: Any, staff_api: APIClient, client: Client, prefix: str) -> None:
    answer = staff_api.put(
        f"{prefix}/dispatch-pause", {"reason": "new disk", "read_only": True}, format="json"
    )
    assert (answer.status_code, answer.json()["read_only"]) == (200, True)
    staff.set_password("a-long-enough-password")
    staff.save()
    signed_in = client.post(
        "/dashboard/login", {"username": staff.username, "password": "a-long-enough-password"}
    )
    assert signed_in.status_code == 302
    assert client.get("/dashboard/workers").status_code == 200
    assert client.post("/dashboard/dispatch-pause", {"act": "resume"}).status_code == 302
    assert not dispatch_pauses.is_read_only()
    client.post("/dashboard/dispatch-pause", {"act": "pause", "reason": "x", "read_only": "on"})
    assert dispatch_pauses.is_read_only()
    assert staff_api.delete(f"{prefix}/dispatch-pause").json() == {
        "paused": False, "read_only": False, "reason": None, "paused_by": None, "paused_at": None, "ends_at": None,
    }  # fmt: skip
    assert staff_api.post("/operations/cancel", {"ids": []}, format="json").status_code != 503


def test_an_ordinary_pause_refuses_nothing_and_replaces_a_read_only_one(api: APIClient) -> None:
    dispatch_pauses.begin(ME, "first", read_only=True)
    dispatch_pauses.begin(ME, "second")
    assert dispatch_pauses.current() is not None
    assert api.post("/operations/cancel", {"ids": []}, format="json").status_code != 503


def test_a_worker_s_report_is_refused_and_accepted_afterwards() -> None:
    callers = Callers.made()
    path = f"/operations/{callers.values['operation_id']}/report"
    body = {"attempt": 1, "instance_id": "new", "outcome": "interrupted"}
    dispatch_pauses.begin(ME, "new disk", read_only=True)
    for _ in range(2):
        answer = callers.clients["worker"].post(path, body, content_type="application/json")
        assert answer.status_code == 503
    dispatch_pauses.end(ME)
    answer = callers.clients["worker"].post(path, body, content_type="application/json")
    assert answer.status_code != 503, "the view decides again"


def test_the_processes_of_the_site_write_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    OperationFactory()
    WorkerFactory()
    running = OperationFactory()
    assert claim_next(ME) is not None
    Attempt.objects.update(contact_after="2026-01-01T00:00Z")
    schedules.ensure_schedules()

    async def play() -> int:
        async with Dispatcher() as dispatcher:
            return await dispatcher.round()

    studies, periodic = StudiesLeader(), SchedulesLeader()
    studies.tick()
    monkeypatch.setattr(SchedulesLeader, "_keep_cluster", lambda _: pytest.fail("it may restart the cluster"))
    dispatch_pauses.begin(ME, "new disk", read_only=True)
    before = list(Operation.objects.order_by("pk").values()), list(Attempt.objects.values())
    assert async_to_sync(play)() == 0
    periodic.leads = True
    with CaptureQueriesContext(connection) as queries:
        assert periodic.tick()
        assert not studies.tick()
    written = {query["sql"].split()[2] for query in queries if query["sql"].startswith(WRITING)}
    assert written <= {"registry_lease"}, written
    assert (list(Operation.objects.order_by("pk").values()), list(Attempt.objects.values())) == before
    assert running.pk


def test_readiness_and_metrics_know_that_no_sweep_is_due() -> None:
    assert readiness.stale_sweep() is not None
    dispatch_pauses.begin(ME, "new disk", read_only=True)
    assert readiness.stale_sweep() is None
    assert metric_registry().get_sample_value("ktrdr_read_only") == 1
    dispatch_pauses.begin(ME, "new disk")
    assert metric_registry().get_sample_value("ktrdr_read_only") == 0


@pytest.mark.django_db(transaction=True)
def test_the_command_returns_when_what_was_being_written_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch_pauses, "NOTICED_AFTER_S", 0.2)
    monkeypatch.setattr("operations.management.commands.pause_dispatching.QUIET_TIMEOUT_S", 0.3)
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute("CREATE TABLE being_written (number int)")
            with pytest.raises(CommandError, match="a transaction still writes"):
                call_command("pause_dispatching", "new disk", "--read-only")
            assert dispatch_pauses.is_read_only()
        other.rollback()
        out = StringIO()
        call_command("pause_dispatching", "new disk", "--read-only", stdout=out)
        assert out.getvalue() == "The site is read-only until resume_dispatching.\n"
    finally:
        other.rollback()
        other.close()
