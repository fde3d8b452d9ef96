"""`manage.py doctor`: each fault is caused, and found by its name with what to do; a healthy site has none."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now
from django.utils import timezone
from django_q.models import Schedule, Task
from pytest_django.live_server_helper import LiveServer

from access.actors import Actor
from ktrdr_site.doctor import (
    clocks,
    database,
    disk,
    notifications,
    secret_files,
    services,
    site,
    versions,
    workers,
)
from ktrdr_site.doctor.examination import checks, examine
from ktrdr_site.doctor.finding import Finding, Severity
from operations.dispatching import heartbeat
from operations.models import Delivery, Subscription
from operations.tasks import PERIODIC_TASKS
from registry import enrolment
from registry.models import Sweep, Worker
from registry.schedules import ensure_schedules
from tests.factories import StoredFileFactory, WorkerFactory
from tests.registry.conftest import Neighbour, neighbour
from worker_agent.testing import hang, status

__all__ = ["neighbour"]
ROOT = Path(__file__).resolve().parents[2]
database_needed = pytest.mark.django_db


def only(findings: Iterator[Finding], severity: Severity = Severity.PROBLEM) -> Finding:
    (found,) = findings
    assert found.severity is severity
    assert found.problem.endswith(".")
    assert found.remedy
    return found


@pytest.fixture
def healthy(db: None, neighbour: Neighbour, settings: Any) -> None:
    settings.DATA_DIR.chmod(0o700)
    settings.BASE_DIR = settings.DATA_DIR  # the developer's own .env is no part of the test
    neighbour("w-1")
    ensure_schedules(PERIODIC_TASKS)
    Sweep.objects.create(kind=Sweep.Kind.HEALTH, completed_at=Now())


@pytest.fixture
def dispatching(db: None) -> Iterator[None]:
    """This very session holds the lock, as a dispatcher's does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared(%s)", [heartbeat.LOCK_KEY])
        yield
        cursor.execute("SELECT pg_advisory_unlock_shared(%s)", [heartbeat.LOCK_KEY])


@pytest.mark.django_db(transaction=True)
def test_nothing_is_wrong_with_a_healthy_site(
    healthy: None, dispatching: None, live_server: LiveServer, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(disk, "SOON_FULL", 0)
    monkeypatch.setattr(site, "TIMEOUT_S", 60)  # its first answer loads every view
    assert examine(live_server.url) == []
    call_command("doctor", url=live_server.url)
    assert capsys.readouterr().out == f"Nothing is wrong: {len(checks(live_server.url))} checks.\n"


@database_needed
def test_problems_end_with_status_1_and_warnings_do_not(
    healthy: None, dispatching: None, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(disk, "SOON_FULL", 10**18)
    monkeypatch.setattr(site, "answers", lambda url: iter(()))
    call_command("doctor", as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["healthy"] is True
    assert [(f["check"], f["severity"]) for f in said["findings"]] == [("data directory", "warning")]
    monkeypatch.setattr(disk, "LEAST_FREE", 10**18)
    with pytest.raises(SystemExit) as ended:
        call_command("doctor")
    assert ended.value.code == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("problem (data directory): ")
    assert printed[1].startswith("    Make room")
    assert printed[-1] == "1 problem, 0 warnings."


# Files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", secret_files.NAMES)
def test_a_secret_that_others_can_read_is_found(settings: Any, name: str) -> None:
    settings.BASE_DIR = settings.DATA_DIR
    path = settings.DATA_DIR / name
    path.write_text("secret")
    path.chmod(0o640)
    found = only(secret_files.modes())
    assert "mode 0640" in found.problem
    assert f"chmod 600 {path}" in found.remedy
    path.chmod(0o600)
    assert list(secret_files.modes()) == []


def test_a_data_directory_that_all_may_write_is_found(settings: Any) -> None:
    settings.BASE_DIR = settings.DATA_DIR
    settings.DATA_DIR.chmod(0o777)
    assert "any user" in only(secret_files.modes()).problem


def test_a_token_that_can_be_guessed_and_a_network_that_is_trusted_are_found(settings: Any) -> None:
    settings.WORKER_TOKEN = "short"
    assert "can be guessed" in only(secret_files.enrolment()).problem
    settings.TRUST_NETWORK = True
    assert "KTRDR_TRUST_NETWORK is on" in only(secret_files.enrolment(), Severity.WARNING).problem


def test_a_disk_without_files_left_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "SOON_FULL", 0)
    monkeypatch.setattr(disk, "LEAST_FREE", 0)
    real = os.statvfs("/")
    full = os.statvfs_result((*real[:5], 1000, 7, 7, *real[8:10]))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    assert "only 7 more files" in only(disk.room()).problem


@database_needed
def test_stored_files_that_are_not_on_disk_are_found() -> None:
    missing = StoredFileFactory()
    found = only(disk.artifacts())
    assert missing.sha256[:12] in found.problem
    assert "Restore" in found.remedy


# Settings and the web server --------------------------------------------------------------------------------


def test_debug_and_any_host_are_found(settings: Any) -> None:
    settings.DEBUG = True
    assert "KTRDR_DEBUG is on" in only(site.settings_in_force()).problem
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["*"]
    assert "KTRDR_ALLOWED_HOSTS is *" in only(site.settings_in_force(), Severity.WARNING).problem


def test_a_port_where_nothing_listens_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    found = only(site.answers(f"http://127.0.0.1:{port}"))
    assert f"Nothing answers at 127.0.0.1:{port}" in found.problem
    assert "manage.py up" in found.remedy


def test_a_web_server_that_hangs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = only(site.answers(f"http://127.0.0.1:{silent.getsockname()[1]}"))
    assert "does not answer within 0.2 s" in found.problem


@pytest.fixture
def stranger() -> Iterator[Callable[[int, bytes], str]]:
    """`stranger(status, body)`: the URL of another program."""
    servers = []

    def start(code: int, body: bytes) -> str:
        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                return

        server = HTTPServer(("127.0.0.1", 0), Answers)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("code", "body", "says"),
    [
        (200, b"<html>", "is not KTRDR"),
        (200, b'{"status": "fine"}', "is not KTRDR"),
        (404, b"", "is not KTRDR: it says 404"),
        (400, b"", "refuses the name by which it was asked"),
    ],
)
def test_another_program_at_the_port_is_found(
    stranger: Callable[[int, bytes], str], code: int, body: bytes, says: str
) -> None:
    assert says in only(site.answers(stranger(code, body))).problem


def test_a_name_that_is_not_allowed_is_found(stranger: Callable[[int, bytes], str], settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["ktrdr.example.org"]
    found = only(site.answers(stranger(200, b'{"status": "ok"}')))
    assert "127.0.0.1 is not in KTRDR_ALLOWED_HOSTS" in found.problem
    assert "KTRDR_ALLOWED_HOSTS=ktrdr.example.org,127.0.0.1" in found.remedy


# Database ---------------------------------------------------------------------------------------------------


def test_a_database_that_is_away_is_one_finding_and_the_others_that_need_it_are_left_out(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KTRDR_")},
        "KTRDR_DATA_DIR": str(tmp_path), "KTRDR_DATABASE_URL": f"postgresql://u:secret@127.0.0.1:{port}/d",
        "DJANGO_SETTINGS_MODULE": "ktrdr_site.settings",
    }  # fmt: skip
    command = [sys.executable, "manage.py", "doctor", "--json", "--url", f"http://127.0.0.1:{port}"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == 1, ended.stderr
    findings = json.loads(ended.stdout)["findings"]
    assert {"database", "web"} <= {f["check"] for f in findings}
    assert {"migrations", "schedules", "workers"} & {f["check"] for f in findings} == set()
    assert "cannot be reached" in next(f["problem"] for f in findings if f["check"] == "database")
    assert "secret" not in ended.stdout.replace("secret files", "") + ended.stderr


@database_needed
def test_a_migration_that_is_not_applied_is_found_and_ends_what_needs_the_tables(healthy: None) -> None:
    recorded = MigrationRecorder.Migration.objects.filter(app="operations")
    newest = recorded.latest("name")
    newest.delete()
    found = only(database.migrations())
    assert f"operations.{newest.name}" in found.problem
    assert found.remedy == "manage.py migrate"
    assert "dispatcher" not in {f.check for f in examine("http://127.0.0.1:1")}


@database_needed
def test_connections_that_run_out_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(database.connections_left()) == []
    monkeypatch.setattr(database, "NEARLY_ALL", 0.0)
    assert "connections are in use" in only(database.connections_left(), Severity.WARNING).problem


@database_needed
def test_versions_that_are_too_old_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(versions.postgresql()) == list(versions.python()) == []
    monkeypatch.setattr(versions, "OLDEST_POSTGRESQL", 99)
    monkeypatch.setattr(versions, "OLDEST_PYTHON", (3, 99))
    assert "KTRDR needs 99 or newer" in only(versions.postgresql()).problem
    assert "KTRDR needs 3.99 or newer" in only(versions.python()).problem


# Clocks -----------------------------------------------------------------------------------------------------


@database_needed
def test_a_database_whose_clock_is_off_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(clocks.of_database()) == []
    real = clocks.now_s
    monkeypatch.setattr(clocks, "now_s", lambda: real() - 3600)
    found = only(clocks.of_database(), Severity.WARNING)
    assert "is 3600 s ahead of this machine's" in found.problem


@database_needed
def test_a_worker_whose_clock_is_off_is_found_by_its_answers_date(neighbour: Neighbour) -> None:
    async def in_2001(_: web.Request, honest: Any) -> web.StreamResponse:
        answer = await honest()
        answer.headers["Date"] = "Mon, 01 Jan 2001 00:00:00 GMT"
        return answer

    async def nonsense(_: web.Request, honest: Any) -> web.StreamResponse:
        answer = await honest()
        answer.headers["Date"] = "yesterday"
        return answer

    neighbour("w-1").instead["health"].extend([in_2001, nonsense])
    found = only(workers.reachable(), Severity.WARNING)
    assert "The clock of w-1 is" in found.problem
    assert "behind this machine's" in found.problem
    assert list(workers.reachable()) == [], "a worker may say no time at all"


# Services and workers ---------------------------------------------------------------------------------------


@database_needed
def test_schedules_that_are_dead_deleted_or_failing_are_found(healthy: None) -> None:
    assert list(services.schedules()) == []
    Schedule.objects.filter(func="registry.tasks.registry_cleanup").delete()
    assert "registry.tasks.registry_cleanup was deleted" in only(services.schedules()).problem
    ensure_schedules()
    now = timezone.now()
    Task.objects.create(
        id="a" * 32,
        name="t",
        func="registry.tasks.health_sweep",
        started=now,
        stopped=now,
        success=False,
        result="boom",
    )
    Task.objects.create(
        id="b" * 32, name="t", func="operations.tasks.deliver_notifications", started=now, stopped=now, success=True
    )  # fmt: skip
    assert "failed the last time: boom" in only(services.schedules()).problem, (
        "whatever another chore did since"
    )
    Task.objects.all().delete()
    Sweep.objects.update(completed_at=Now() - timedelta(seconds=100))
    assert "completed 100 s ago" in only(services.schedules()).problem
    Sweep.objects.all().delete()
    assert "has never completed" in only(services.schedules()).problem


@database_needed
def test_every_chore_is_looked_at() -> None:
    ensure_schedules(PERIODIC_TASKS)
    assert set(Schedule.objects.values_list("func", flat=True)) == services.BY_HAND.keys()


@pytest.fixture
def subscription(db: None) -> Subscription:
    return Subscription.objects.create(name="on call", channel="webhook", target="https://1.1.1.1/")


def delivery(subscription: Subscription, **fields: Any) -> None:
    log = [{"at": "now", "status": 500, "problem": "answered 500", "seconds": 0.1}]
    given = {"kind": "operation.failed", "payload": {"data": {}}, "log": log}
    Delivery.objects.create(subscription=subscription, key=str(fields), **{**given, **fields})


def test_notifications_that_nobody_sends_are_found(subscription: Subscription) -> None:
    delivery(subscription)
    assert list(notifications.deliveries()) == [], "it is due, and will be sent in a moment"
    Delivery.objects.update(due_at=Now() - timedelta(minutes=5))
    found = only(notifications.deliveries())
    assert found.problem.startswith("Notifications are overdue (1, ")
    assert "run_schedules" in found.remedy
    Subscription.objects.update(active=False)
    assert list(notifications.deliveries()) == [], "what is paused is to wait"


def test_notifications_that_do_not_arrive_are_found_with_the_receivers_answer(
    subscription: Subscription,
) -> None:
    delivery(subscription, tries=2)
    delivery(subscription, tries=10, state="failed", ended_at=Now() - timedelta(days=2))
    assert list(notifications.deliveries()) == []
    delivery(subscription, tries=3)
    found = only(notifications.deliveries(), Severity.WARNING)
    assert found.problem == "Notifications to on call are tried in vain (1). The last answer: answered 500."
    assert f"/dashboard/notifications/{subscription.pk}" in found.remedy
    Delivery.objects.filter(tries=3).update(state="failed", ended_at=Now())
    assert "were given up since yesterday" in only(notifications.deliveries(), Severity.WARNING).problem


def test_mail_that_is_wanted_without_a_mail_server_is_found(
    subscription: Subscription, settings: Any
) -> None:
    Subscription.objects.update(channel="email", target="me@example.org")
    assert "KTRDR_EMAIL_URL" in only(notifications.deliveries()).remedy
    settings.EMAIL_CONFIGURED = True
    assert list(notifications.deliveries()) == []


@database_needed
def test_a_dispatcher_that_is_dead_is_found() -> None:
    assert "No dispatcher is alive" in only(services.dispatcher()).problem


@database_needed
def test_a_site_without_any_enrolment_token_is_found(settings: Any) -> None:
    settings.WORKER_TOKEN = ""
    assert "no worker can register" in only(workers.can_enrol()).problem
    token, _ = enrolment.issue("pool", [], Actor("user:test"))
    assert list(workers.can_enrol()) == []
    enrolment.revoke(token, Actor("user:test"))
    assert "create_enrolment_token" in only(workers.can_enrol()).remedy


@database_needed
def test_no_worker_at_all_is_said() -> None:
    assert "No worker is registered" in only(workers.reachable(), Severity.WARNING).problem


@database_needed
def test_a_worker_that_refuses_the_connection_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    WorkerFactory(worker_id="w-1", endpoint_url=f"http://127.0.0.1:{port}")
    found = only(workers.reachable())
    assert found.problem == f"w-1 at http://127.0.0.1:{port} cannot be used: connection refused."
    assert "--public-url" in found.remedy


@database_needed
@pytest.mark.parametrize(
    ("instead", "says", "remedy"),
    [
        (hang, "no response within 0.3 s", "firewall"),
        (status(401), "401, the worker does not know this backend", "KTRDR_SECRET_KEY"),
        (status(200, "<html>"), "the response is not a valid Health", "who has the port"),
    ],
)
def test_a_worker_that_answers_badly_is_found_with_the_reason(
    neighbour: Neighbour, settings: Any, instead: Any, says: str, remedy: str
) -> None:
    if instead is hang:
        settings.HEALTH_TIMEOUT_S = 0.3
    neighbour("w-1").instead["health"].append(instead)
    found = only(workers.reachable())
    assert says in found.problem
    assert remedy in found.remedy


@database_needed
def test_a_worker_whose_tls_does_not_fit_is_found_with_what_is_wrong_with_it(neighbour: Neighbour) -> None:
    plain = neighbour("w-1")
    Worker.objects.update(endpoint_url=plain.url.replace("http:", "https:"))
    found = only(workers.reachable())
    assert "the worker does not speak TLS at its https address" in found.problem
    assert "KTRDR_WORKER_CA" in found.remedy


@database_needed
def test_workers_of_several_versions_and_one_that_is_too_old_are_found() -> None:
    WorkerFactory.create_batch(7, version="1.0")
    WorkerFactory(worker_id="old", version="0.9", protocol_version=0)
    too_old, mixed = versions.workers()
    assert (too_old.severity, mixed.severity) == (Severity.PROBLEM, Severity.WARNING)
    assert "old speaks protocol version 0" in too_old.problem
    assert "and 2 more" in mixed.problem
