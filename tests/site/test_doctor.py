"""`manage.py doctor`: each fault is caused and found under its name with a remedy; a healthy site has none."""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
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
    examination,
    notifications,
    schema,
    secret_files,
    services,
    site,
    versions,
    workers,
)
from ktrdr_site.doctor.examination import checks, examine
from ktrdr_site.doctor.finding import Finding, Severity, warning
from operations.dispatching import heartbeat
from operations.models import Delivery, Subscription
from operations.tasks import PERIODIC_TASKS
from registry import enrolment
from registry.models import Sweep, Worker
from registry.schedules import ensure_schedules
from tests.factories import StoredFileFactory, WorkerFactory
from tests.faults.certificates import Certificates
from tests.registry.conftest import Neighbour, neighbour
from worker_agent.testing import hang, status
from worker_agent.version import version

__all__ = ["neighbour"]
ROOT = Path(__file__).resolve().parents[2]
database_needed = pytest.mark.django_db


def only(findings: Iterator[Finding], severity: Severity = Severity.PROBLEM) -> Finding:
    (finding,) = findings
    assert finding.severity is severity
    assert finding.problem.endswith(".")
    assert finding.remedy
    return finding


@pytest.fixture
def healthy(db: None, neighbour: Neighbour, settings: Any) -> None:
    settings.DATA_DIR.chmod(0o700)
    settings.BASE_DIR = settings.DATA_DIR  # the developer's own .env must not matter
    neighbour("w-1")
    ensure_schedules(PERIODIC_TASKS)
    Sweep.objects.create(kind=Sweep.Kind.HEALTH, completed_at=Now())


@pytest.fixture
def dispatching(db: None) -> Iterator[None]:
    """Hold the lock in this session, as a dispatcher does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared(%s)", [heartbeat.LOCK_KEY])
        yield
        cursor.execute("SELECT pg_advisory_unlock_shared(%s)", [heartbeat.LOCK_KEY])


@pytest.mark.django_db(transaction=True)
def test_a_healthy_site_has_no_findings(
    healthy: None, dispatching: None, live_server: LiveServer, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(disk, "LOW_FREE", 0)
    monkeypatch.setattr(site, "TIMEOUT_S", 60)  # its first response loads every view
    assert examine(live_server.url) == []
    call_command("doctor", url=live_server.url)
    assert capsys.readouterr().out == f"No problems found ({len(checks(live_server.url))} checks).\n"


@database_needed
def test_problems_end_with_status_1_and_warnings_do_not(
    healthy: None, dispatching: None, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(disk, "LOW_FREE", 10**18)
    monkeypatch.setattr(site, "responds", lambda url: iter(()))
    call_command("doctor", as_json=True)
    report = json.loads(capsys.readouterr().out)
    assert report["healthy"] is True
    assert [(f["check"], f["severity"]) for f in report["findings"]] == [("data directory", "warning")]
    monkeypatch.setattr(disk, "MIN_FREE", 10**18)
    with pytest.raises(SystemExit) as ended:
        call_command("doctor")
    assert ended.value.code == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("problem (data directory): ")
    assert printed[1].startswith("    Free some space")
    assert printed[-1] == "1 problem, 0 warnings."


# Files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", secret_files.NAMES)
def test_a_secret_that_others_can_read_is_found(settings: Any, name: str) -> None:
    settings.BASE_DIR = settings.DATA_DIR
    path = settings.DATA_DIR / name
    path.write_text("secret")
    path.chmod(0o640)
    finding = only(secret_files.modes())
    assert "mode 0640" in finding.problem
    assert f"chmod 600 {path}" in finding.remedy
    path.chmod(0o600)
    assert list(secret_files.modes()) == []


@pytest.mark.parametrize(
    ("mode", "able"),
    [(0o777, "replace its files"), (0o770, "replace its files"), (0o755, "enter it"), (0o710, "enter it")],
)
def test_a_data_directory_that_others_may_use_is_found(settings: Any, mode: int, able: str) -> None:
    settings.BASE_DIR = settings.DATA_DIR
    settings.DATA_DIR.chmod(mode)
    finding = only(secret_files.modes())
    assert able in finding.problem
    assert f"chmod 700 {settings.DATA_DIR}" in finding.remedy


def test_a_token_that_can_be_guessed_and_a_network_that_is_trusted_are_found(settings: Any) -> None:
    settings.WORKER_TOKEN = "short"
    assert "can be guessed" in only(secret_files.enrolment()).problem
    settings.TRUST_NETWORK = True
    assert "KTRDR_TRUST_NETWORK is on" in only(secret_files.enrolment(), Severity.WARNING).problem


def test_a_disk_without_files_left_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "LOW_FREE", 0)
    monkeypatch.setattr(disk, "MIN_FREE", 0)
    real = os.statvfs("/")
    full = os.statvfs_result((*real[:5], 1000, 7, 7, *real[8:10]))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    assert "only 7 more files" in only(disk.free_space()).problem


@database_needed
def test_stored_files_that_are_not_on_disk_are_found() -> None:
    missing = StoredFileFactory()
    finding = only(disk.artifacts())
    assert missing.sha256[:12] in finding.problem
    assert "Restore" in finding.remedy


# Settings and the web server --------------------------------------------------------------------------------


def test_debug_and_any_host_are_found(settings: Any) -> None:
    settings.DEBUG = True
    assert "KTRDR_DEBUG is on" in only(site.insecure_settings()).problem
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["*"]
    assert "KTRDR_ALLOWED_HOSTS is *" in only(site.insecure_settings(), Severity.WARNING).problem


def test_a_port_where_nothing_listens_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    finding = only(site.responds(f"http://127.0.0.1:{port}"))
    assert f"Nothing is listening at 127.0.0.1:{port}" in finding.problem
    assert "manage.py up" in finding.remedy


def test_a_web_server_that_hangs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        finding = only(site.responds(f"http://127.0.0.1:{silent.getsockname()[1]}"))
    assert "does not respond within 0.2 s" in finding.problem


@pytest.fixture
def stranger() -> Iterator[Callable[..., str]]:
    """Start another program that answers with (status, body); return its URL."""
    servers = []

    def start(code: int, body: bytes, tls: ssl.SSLContext | None = None) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                return

        server = HTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("code", "body", "text"),
    [
        (200, b"<html>", "is not KTRDR"),
        (200, b'{"status": "fine"}', "is not KTRDR"),
        (404, b"", "is not KTRDR: it returns 404"),
        (400, b"", "rejects the host name"),
    ],
)
def test_another_program_at_the_port_is_found(
    stranger: Callable[..., str], code: int, body: bytes, text: str
) -> None:
    assert text in only(site.responds(stranger(code, body))).problem


def test_a_name_that_is_not_allowed_is_found(stranger: Callable[..., str], settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["ktrdr.example.org"]
    finding = only(site.responds(stranger(200, b'{"status": "ok"}')))
    assert "127.0.0.1 is not in KTRDR_ALLOWED_HOSTS" in finding.problem
    assert "KTRDR_ALLOWED_HOSTS=ktrdr.example.org,127.0.0.1" in finding.remedy


@pytest.mark.parametrize(
    ("name", "reason"), [("127.0.0.1", "unable to get local issuer"), ("127.0.0.2", "mismatch"), ("", "")]
)
def test_a_certificate_of_the_proxy_that_is_not_accepted_is_found(
    stranger: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    certificates = Certificates(tmp_path, (name or "127.0.0.1",))
    if name != "127.0.0.1":
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    findings = list(site.responds(stranger(200, b'{"status": "ok"}', certificates.serving)))
    assert [reason in finding.problem for finding in findings] == ([True] if reason else [])
    assert all("The certificate of 127.0.0.1:" in finding.problem for finding in findings)


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
    assert "Cannot connect to the database" in next(
        f["problem"] for f in findings if f["check"] == "database"
    )
    assert "secret" not in ended.stdout.replace("secret files", "") + ended.stderr


@database_needed
def test_a_migration_that_is_not_applied_is_found_and_ends_what_needs_the_tables(healthy: None) -> None:
    recorded = MigrationRecorder.Migration.objects.filter(app="operations")
    newest = recorded.latest("name")
    newest.delete()
    finding = only(database.migrations())
    assert f"operations.{newest.name}" in finding.problem
    assert finding.remedy == "Run manage.py migrate."
    assert "dispatcher" not in {f.check for f in examine("http://127.0.0.1:1")}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("ALTER TABLE operations_trial DROP COLUMN without_ratio", "column operations_trial.without_ratio is missing"),
        (
            "ALTER TABLE operations_trial RENAME COLUMN without_ratio TO is_training",
            "column operations_trial.without_ratio is missing",
        ),
        (
            "ALTER TABLE registry_worker ALTER COLUMN worker_type TYPE text",
            "column registry_worker.worker_type is text instead of character varying(128)",
        ),
        (
            "ALTER TABLE registry_sweep ALTER COLUMN kind DROP NOT NULL",
            "column registry_sweep.kind allows NULL",
        ),
        (
            "ALTER TABLE operations_operation ALTER COLUMN completed_at SET NOT NULL",
            "column operations_operation.completed_at refuses NULL",
        ),
        ("DROP TABLE auth_user_groups", "table auth_user_groups is missing"),
        (
            "ALTER TABLE registry_sweep ADD COLUMN owner text NOT NULL",
            "column registry_sweep.owner is unknown and must be filled in",
        ),
    ],
)  # fmt: skip
@database_needed
def test_a_table_that_differs_from_its_model_is_named(change: str, sentence: str) -> None:
    assert list(schema.differences()) == []
    with connection.cursor() as cursor:
        cursor.execute(change)
    assert only(schema.differences()).problem == (
        f"The database differs from the models of this code: {sentence}."
    )


@pytest.mark.parametrize(
    "addition",
    ["ADD COLUMN later text", "ADD COLUMN later text NOT NULL DEFAULT ''",
     "ADD COLUMN later bigint GENERATED BY DEFAULT AS IDENTITY"],
)  # fmt: skip
@database_needed
def test_columns_of_a_newer_version_that_fill_themselves_in_are_no_difference(addition: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE registry_sweep {addition}")
        cursor.execute("CREATE TABLE later (id bigint NOT NULL)")
    assert list(schema.differences()) == []


@database_needed
def test_many_differences_are_one_sentence() -> None:
    columns = [field.column for field in Worker._meta.local_concrete_fields if not field.primary_key]
    with connection.cursor() as cursor:
        for column in columns:
            cursor.execute(f"ALTER TABLE registry_worker DROP COLUMN {column} CASCADE")
    assert f"; and {len(columns) - schema.NAMED} more." in only(schema.differences()).problem


@pytest.mark.parametrize("name", [check.name for check in checks("http://127.0.0.1:1")])
def test_a_check_that_fails_is_one_finding_and_the_others_still_run(
    healthy: None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def problems_by_check() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for finding in examine("http://127.0.0.1:1"):
            found.setdefault(finding.check, []).append(finding.problem)
        return found

    def fail_halfway() -> Iterator[Finding]:
        yield warning(name, "Seen before.", "Nothing.")
        raise PermissionError("permission denied\nfor view x.")

    usual = problems_by_check()
    real = checks("http://127.0.0.1:1")
    changed = [replace(check, find=fail_halfway) if check.name == name else check for check in real]
    monkeypatch.setattr(examination, "checks", lambda url: tuple(changed))
    found = problems_by_check()
    assert found.pop(name) == [
        "Seen before.", "This check could not finish: PermissionError: permission denied for view x.",
    ]  # fmt: skip
    usual.pop(name, None)
    if name in ("database", "migrations"):
        assert found.items() <= usual.items(), "the checks that need the database are left out"
    else:
        assert found == usual


@pytest.mark.django_db(transaction=True)
def test_a_role_without_permissions_is_found_without_a_traceback() -> None:
    with connection.cursor() as cursor:
        cursor.execute("REVOKE SELECT ON registry_worker FROM CURRENT_USER")
        try:
            findings = examine("http://127.0.0.1:1")
        finally:
            cursor.execute("GRANT SELECT ON registry_worker TO CURRENT_USER")
    denied = {finding.check for finding in findings if "permission denied" in finding.problem}
    assert denied == {"workers", "worker versions"}
    assert {"schedules", "dispatcher"} <= {finding.check for finding in findings}


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
    assert list(clocks.database_clock()) == []
    real = clocks.now_s
    monkeypatch.setattr(clocks, "now_s", lambda: real() - 3600)
    finding = only(clocks.database_clock(), Severity.WARNING)
    assert "is 3600 s ahead of this machine's" in finding.problem


@database_needed
def test_a_worker_whose_clock_is_off_is_found_by_its_date_header(neighbour: Neighbour) -> None:
    async def in_2001(_: web.Request, honest: Any) -> web.StreamResponse:
        response = await honest()
        response.headers["Date"] = "Mon, 01 Jan 2001 00:00:00 GMT"
        return response

    async def nonsense(_: web.Request, honest: Any) -> web.StreamResponse:
        response = await honest()
        response.headers["Date"] = "yesterday"
        return response

    neighbour("w-1").instead["health"].extend([in_2001, nonsense])
    finding = only(workers.reachable(), Severity.WARNING)
    assert "The clock of w-1 is" in finding.problem
    assert "behind this machine's" in finding.problem
    assert list(workers.reachable()) == [], "a worker may send no date at all"


# Services and workers ---------------------------------------------------------------------------------------


@database_needed
def test_schedules_that_are_dead_deleted_or_failing_are_found(healthy: None) -> None:
    assert list(services.schedules()) == []
    Schedule.objects.filter(func="registry.tasks.registry_cleanup").delete()
    assert "registry.tasks.registry_cleanup was deleted" in only(services.schedules()).problem
    ensure_schedules(PERIODIC_TASKS)
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
    assert "health_sweep failed: boom" in only(services.schedules()).problem, (
        "even if another chore succeeded since"
    )
    Task.objects.all().delete()
    Sweep.objects.update(completed_at=Now() - timedelta(seconds=100))
    assert "completed 100 s ago" in only(services.schedules()).problem
    Sweep.objects.all().delete()
    assert "has never completed" in only(services.schedules()).problem


@database_needed
def test_every_chore_has_a_remedy() -> None:
    ensure_schedules(PERIODIC_TASKS)
    assert set(Schedule.objects.values_list("func", flat=True)) == services.REMEDIES.keys()


@pytest.fixture
def subscription(db: None) -> Subscription:
    return Subscription.objects.create(name="on call", channel="webhook", target="https://1.1.1.1/")


def delivery(subscription: Subscription, **fields: Any) -> None:
    log = [{"at": "now", "status": 500, "problem": "answered 500", "seconds": 0.1}]
    defaults = {"kind": "operation.failed", "payload": {"data": {}}, "log": log}
    Delivery.objects.create(subscription=subscription, key=str(fields), **{**defaults, **fields})


def test_overdue_notifications_are_found(subscription: Subscription) -> None:
    delivery(subscription)
    assert list(notifications.deliveries()) == [], "it is due and will be sent in a moment"
    Delivery.objects.update(due_at=Now() - timedelta(minutes=5))
    finding = only(notifications.deliveries())
    assert finding.problem.startswith("Notifications are overdue (1, ")
    assert "run_schedules" in finding.remedy
    Subscription.objects.update(active=False)
    assert list(notifications.deliveries()) == [], "paused notifications wait"


def test_notifications_that_do_not_arrive_are_found_with_the_receivers_answer(
    subscription: Subscription,
) -> None:
    delivery(subscription, tries=2)
    delivery(subscription, tries=10, state="failed", ended_at=Now() - timedelta(days=2))
    assert list(notifications.deliveries()) == []
    delivery(subscription, tries=3)
    finding = only(notifications.deliveries(), Severity.WARNING)
    assert finding.problem == "Notifications to on call keep failing (1). Last response: answered 500."
    assert f"/dashboard/notifications/{subscription.pk}" in finding.remedy
    Delivery.objects.filter(tries=3).update(state="failed", ended_at=Now())
    assert "failed for good since yesterday" in only(notifications.deliveries(), Severity.WARNING).problem


def test_mail_that_is_wanted_without_a_mail_server_is_found(
    subscription: Subscription, settings: Any
) -> None:
    Subscription.objects.update(channel="email", target="me@example.org")
    assert "KTRDR_EMAIL_URL" in only(notifications.deliveries()).remedy
    settings.EMAIL_CONFIGURED = True
    assert list(notifications.deliveries()) == []


@database_needed
def test_a_dispatcher_that_is_dead_is_found() -> None:
    assert "No dispatcher is running" in only(services.dispatcher()).problem


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
