"""No stored text chooses code: not a schedule, not a stored pickle, not a restored archive, not a form of the admin."""

import gzip
import io
import json
import pickle
import tarfile
from base64 import b64encode
from datetime import timedelta
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import Failure, OrmQ, Schedule, Success, Task
from django_q.signing import SignedPackage

from access.models import AuditEntry
from ktrdr_site.backup.manifest import MANIFEST
from ktrdr_site.backup.restoring import restore
from ktrdr_site.backup.saving import backup
from ktrdr_site.plain_pickles import plain_loads
from ktrdr_site.schedules import Leader
from operations.tasks import PERIODIC_TASKS
from registry import schedules

OWN = {task.name: task.function for task in (*schedules.own_tasks(), *PERIODIC_TASKS)}
FUNCTIONS = ["os.system", "subprocess.call", "builtins.exec", "registry.models.Worker.objects.all", "x", ""]
OPTIONS: list[dict[str, Any]] = [
    {"args": "'touch /tmp/x',"},
    {"kwargs": "{'command': 'touch /tmp/x'}"},
    {"kwargs": "{'q_options': {'sync': True, 'hook': 'os.system', 'chain': [('os.system', ('x',))]}}"},
    {"kwargs": "f(__import__('os'))"},
    {"hook": "os.system"},
    {"cluster": "another"},
    {"intended_date_kwarg": "command"},
    {"schedule_type": Schedule.ONCE, "cron": None},
    {"cron": "0 0 30 2 *"},
    {"cron": "every day"},
]
PAST = timedelta(hours=1)
database_needed = pytest.mark.django_db


def read_queue() -> list[dict[str, Any]]:
    return [SignedPackage.loads(row.payload) for row in OrmQ.objects.all()]


def assert_only_own_functions_are_queued() -> None:
    for chore in read_queue():
        assert chore["func"] == OWN[chore["group"]]
        assert (chore["args"], chore["kwargs"]) == ((), {})
        assert not chore.keys() & {"hook", "chain", "sync", "cached", "timeout"}


@database_needed
@pytest.mark.parametrize("name", [*OWN, "foreign", None, ""])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_written_schedule_runs_the_function_of_its_name_or_nothing(
    name: str | None, options: dict[str, Any]
) -> None:
    fields = {"schedule_type": "C", "cron": "* * * * *", "next_run": timezone.now() - PAST, **options}
    Schedule.objects.bulk_create(Schedule(name=name, func=function, **fields) for function in FUNCTIONS)
    before = timezone.now()
    assert schedules.queue_due(PERIODIC_TASKS) == ([name] * len(FUNCTIONS) if name in OWN else [])
    assert_only_own_functions_are_queued()
    if name in OWN:
        assert all(row.next_run > before for row in Schedule.objects.all())


@database_needed
def test_the_leader_deletes_foreign_schedules_resets_its_own_and_keeps_a_pause() -> None:
    for name, function in product([*OWN, "foreign"], FUNCTIONS[:1]):
        Schedule.objects.create(
            name=name, func=function, hook="os.system", args="1,", cron="* * * * *", repeats=0
        )
    schedules.ensure_schedules(PERIODIC_TASKS)
    rows = {row.name: row for row in Schedule.objects.all()}
    assert {name: row.func for name, row in rows.items()} == OWN
    assert all((row.hook, row.args, row.repeats) == (None, None, 0) for row in rows.values())
    assert schedules.queue_due(PERIODIC_TASKS) == []


@database_needed
def test_a_tick_of_the_leader_queues_each_due_chore_once(monkeypatch: pytest.MonkeyPatch) -> None:
    leader = Leader(leads=False)
    monkeypatch.setattr(Leader, "_keep_cluster", lambda self: None)
    assert leader.tick()
    Schedule.objects.update(next_run=timezone.now() - PAST)
    leader.tick()
    leader.tick()
    assert sorted(chore["group"] for chore in read_queue()) == sorted(OWN)
    assert_only_own_functions_are_queued()


class Calls:
    """Unpickled by pickle itself, it calls the function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self._call


def hostile(marker: Path) -> list[Any]:
    call = Calls(Path.touch, marker)
    return [call, (call,), {"summary": [call]}, {call: 1}.keys() and {"k": {"deeper": (1, call)}}]


@database_needed
@pytest.mark.parametrize("column", ["args", "kwargs", "result"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_stored_pickle_that_names_code_is_not_executed(tmp_path: Path, column: str, protocol: int) -> None:
    marker = tmp_path / "executed"
    for number, value in enumerate(hostile(marker)):
        task = Task.objects.create(
            id=f"{number:032}", name=str(number), func="f", started=timezone.now(), stopped=timezone.now()
        )
        stored = b64encode(pickle.dumps(value, protocol)).decode()
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE django_q_task SET {column} = %s WHERE id = %s", [stored, task.pk])
        assert getattr(Task.objects.get(pk=task.pk), column) == stored, "the text itself"
        with pytest.raises(pickle.UnpicklingError, match="only plain values are read"):
            plain_loads(pickle.dumps(value, protocol))
    assert not marker.exists()


@pytest.mark.parametrize(
    "value", [None, (), {}, {"checked": 3, "failed": 0, "s": 0.5}, "error : Traceback", [True]]
)
def test_results_of_chores_are_read_as_they_were_written(value: object) -> None:
    assert plain_loads(pickle.dumps(value)) == value


# The administration -----------------------------------------------------------------------------------------


@pytest.fixture
def superuser(client: Client, django_user_model: type[User]) -> Client:
    client.force_login(django_user_model.objects.create_superuser("root"))
    return client


@pytest.fixture
def schedule(db: None) -> Schedule:
    schedules.ensure_schedules(PERIODIC_TASKS)
    return Schedule.objects.get(name="cleanup")


def test_a_superuser_changes_only_interval_and_pause_of_a_schedule(
    superuser: Client, schedule: Schedule
) -> None:
    address = reverse("admin:django_q_schedule_change", args=[schedule.pk])
    other = {
        field.attname: "os.system" for field in Schedule._meta.fields if field.attname not in ("id", "cron")
    }
    response = superuser.post(address, {**other, "cron": "*/7 * * * *", "paused": "on"})
    assert response.status_code == 302
    changed = Schedule.objects.get(pk=schedule.pk)
    assert (changed.cron, changed.repeats) == ("*/7 * * * *", schedules.PAUSED)
    for field in Schedule._meta.fields:
        if field.attname not in ("cron", "repeats"):
            assert getattr(changed, field.attname) == getattr(schedule, field.attname), field.attname
    entry = AuditEntry.objects.get(act="schedule_changed")
    assert (entry.subject, entry.actor, entry.reason) == ("cleanup", "user:root", "*/7 * * * *, paused")
    assert "checked" in superuser.get(address).content.decode()


@pytest.mark.parametrize("expression", ["", "every day", "* * * * * * * *", "os.system"])
def test_an_invalid_interval_is_refused(superuser: Client, schedule: Schedule, expression: str) -> None:
    address = reverse("admin:django_q_schedule_change", args=[schedule.pk])
    assert superuser.post(address, {"cron": expression}).status_code == 200
    assert Schedule.objects.get(pk=schedule.pk).cron == schedule.cron


def test_chores_cannot_be_added_deleted_or_run_again(superuser: Client, schedule: Schedule) -> None:
    at = timezone.now()
    for number, success in enumerate((True, False)):
        Task.objects.create(
            id=f"{number:032}", name="t", func="os.system", args=("touch x",), started=at, stopped=at, success=success
        )  # fmt: skip
    for model in (Schedule, Success, Failure):
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pk = model.objects.first().pk
        assert superuser.get(reverse(f"{name}_add")).status_code == 403
        assert superuser.post(reverse(f"{name}_delete", args=[pk]), {"post": "yes"}).status_code == 403
        assert superuser.get(reverse(f"{name}_change", args=[pk])).status_code == 200
        for action in ("resubmit_task", "delete_selected"):
            superuser.post(reverse(f"{name}_changelist"), {"action": action, "_selected_action": [pk]})
        assert model.objects.filter(pk=pk).exists()
    assert not OrmQ.objects.exists()
    assert superuser.get("/admin/django_q/ormq/").status_code == 404


# A restored archive -----------------------------------------------------------------------------------------


def pack_row(*columns: object) -> bytes:
    return gzip.compress(("\t".join("\\N" if c is None else str(c) for c in columns) + "\n").encode())


def plant(archive: Path, marker: Path) -> None:
    """Add a schedule and a stored task that run code to the archive, with a manifest that fits."""
    with tarfile.open(archive) as tar:
        members = {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]
    manifest = json.loads(members.pop(MANIFEST))
    call = b64encode(pickle.dumps(Calls(Path.touch, marker))).decode()
    at = "2026-01-01 00:00:00+00"
    for table, row in {
        "django_q_schedule": {"id": 1, "name": "cleanup", "func": "os.system", "args": "'x',", "schedule_type": "O",
                              "repeats": -1, "next_run": at},
        "django_q_task": {"id": "a" * 32, "name": "t", "func": "f", "result": call, "started": at, "stopped": at,
                          "success": "t", "attempt_count": 1},
    }.items():  # fmt: skip
        member = f"tables/{table}.copy.gz"
        members[member] = pack_row(*row.values())
        manifest["tables"][table] = {"columns": list(row), "rows": 1}
        manifest["members"][member] = {
            "size": len(members[member]),
            "sha256": sha256(members[member]).hexdigest(),
        }
    members[MANIFEST] = json.dumps(manifest).encode()
    with tarfile.open(archive, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


@pytest.mark.django_db(transaction=True)
def test_a_restored_archive_runs_only_functions_of_the_product(
    tmp_path: Path, settings: Any, staff: User
) -> None:
    archive, marker = tmp_path / "backup.tar", tmp_path / "executed"
    backup(archive)
    plant(archive, marker)
    call_command("flush", interactive=False, verbosity=0)
    settings.DATA_DIR = tmp_path / "new"
    settings.DATA_DIR.mkdir()
    restore(archive)
    assert not Task.objects.exists()
    assert Schedule.objects.get().func == "os.system"
    schedules.queue_due(PERIODIC_TASKS)
    schedules.ensure_schedules(PERIODIC_TASKS)
    schedules.queue_due(PERIODIC_TASKS)
    assert_only_own_functions_are_queued()
    assert not marker.exists()
