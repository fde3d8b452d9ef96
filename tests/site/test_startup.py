"""`manage.py up` shows each part once it is ready, and workers only if they registered in this start."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.functions import Now

from ktrdr_site.stack import startup as startup_module
from ktrdr_site.stack.services import Plan, servers
from ktrdr_site.stack.startup import Startup
from ktrdr_site.stack.terminal import Terminal
from operations.dispatching import heartbeat
from registry.models import Sweep
from tests.factories import WorkerFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shown() -> StringIO:
    return StringIO()


@pytest.fixture
def startup(tmp_path: Path, shown: StringIO) -> Startup:
    workers = {"training": 1, "backtesting": 1}
    plan = Plan("127.0.0.1", 8000, tmp_path, workers, demo=False, exit_after_demo=False, verbose=False)
    return Startup(plan, Terminal(shown))


@pytest.fixture
def dispatching() -> Iterator[None]:
    """Hold the lock in this session, as a dispatcher does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared(%s)", [heartbeat.LOCK_KEY])
        yield
        cursor.execute("SELECT pg_advisory_unlock_shared(%s)", [heartbeat.LOCK_KEY])


def rows(shown: StringIO) -> dict[str, list[str]]:
    return {row.split()[0]: row.split() for row in shown.getvalue().splitlines()}


def test_every_part_is_shown_as_ready(startup: Startup, shown: StringIO, dispatching: None) -> None:
    Sweep.objects.create(kind=Sweep.Kind.HEALTH, completed_at=Now())
    for name in startup.plan.worker_names:
        WorkerFactory(worker_id=name, instance_id="of this start")
    startup.begin(["schedules", "dispatcher", "workers"])
    asyncio.run(startup.wait())
    assert startup.workers_started.is_set()
    assert {name: row[1] for name, row in rows(shown).items()} == {
        "schedules": "ready",
        "dispatcher": "ready",
        "workers": "ready",
    }
    assert rows(shown)["workers"][-2:] == ["training-1,", "backtesting-1"]


def test_a_worker_left_by_an_earlier_start_is_not_ready(
    startup: Startup, shown: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup_module, "PATIENCE_S", 0.5)
    WorkerFactory(worker_id="training-1", instance_id="old")
    WorkerFactory(worker_id="backtesting-1", instance_id="new")
    startup.previous_instances = {"training-1": "old", "backtesting-1": "older"}
    startup.begin(["workers"])
    asyncio.run(startup.wait())
    assert " not yet " in shown.getvalue()
    assert str(startup.plan.log_dir) in shown.getvalue()


def test_a_stop_waits_for_the_query_under_way(startup: Startup, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    def look(previous_instances: dict[str, str]) -> tuple[set[str], set[str]]:
        query_runs.set()
        ended.append(stop.wait(20))
        return set(), set()

    async def cancel() -> None:
        waiting = asyncio.create_task(startup.wait())
        await asyncio.to_thread(query_runs.wait, 20)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert ended == []
        stop.set()
        await startup.settle()
        assert ended == [True]

    query_runs, stop = threading.Event(), threading.Event()
    monkeypatch.setattr(startup_module, "_look", look)
    startup.begin(["workers"])
    asyncio.run(cancel())


def test_several_dispatchers_and_web_processes_are_services(tmp_path: Path) -> None:
    plan = Plan(
        "127.0.0.1", 8000, tmp_path, {}, demo=False, exit_after_demo=False, verbose=False, dispatchers=3, web_processes=4
    )  # fmt: skip
    with socket.socket() as listener:
        services = {service.name: service.command() for service in servers(plan, listener, None)}
    assert list(services) == ["web", "schedules", "studies", "dispatcher", "dispatcher-2", "dispatcher-3"]
    assert "--workers=4" in services["web"]
    assert {services[name][-1] for name in plan.dispatcher_names} == {"run_dispatcher"}


@pytest.mark.parametrize("option", ["--dispatchers", "--web"])
def test_fewer_than_one_process_is_refused(option: str) -> None:
    with pytest.raises(CommandError, match="0 is not a whole number of at least 1"):
        call_command("up", option, "0")
