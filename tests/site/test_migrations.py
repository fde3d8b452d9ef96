"""The schema is upgraded before the processes, so older code must work on the new schema until it is restarted."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, connections, migrations, models
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.models import NOT_PROVIDED

from operations.models import Operation

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("access", "ktrdr_site", "operations", "registry", "strategies", "studies")
Key = tuple[str, str]


def changes() -> Iterator[tuple[str, migrations.operations.base.Operation]]:
    """Yield each schema change after the initial migration of each room."""
    loader = MigrationLoader(None)
    for (room, name), migration in sorted(loader.disk_migrations.items()):
        if room in ROOMS and not migration.initial and name != "0001_initial":
            for change in migration.operations:
                yield f"{room}.{name}", change


def breaks_older_code(change: migrations.operations.base.Operation) -> bool:
    match change:
        case migrations.AddField(field=field):
            # The database fills a generated column, whichever code writes the row.
            is_written = not isinstance(field, models.ManyToManyField | models.GeneratedField)
            return is_written and not field.null and field.db_default is NOT_PROVIDED
        case (
            migrations.RemoveField()
            | migrations.DeleteModel()
            | migrations.RenameField()
            | migrations.RenameModel()
            | migrations.AlterModelTable()
        ):
            return True
    return False


RETIRED: frozenset[tuple[str, str]] = frozenset()
"""(migration, description) of changes that the previous release no longer needs: dropped a release after the last use."""


def test_no_migration_breaks_older_code() -> None:
    breaking = {(name, change.describe()) for name, change in changes() if breaks_older_code(change)}
    assert breaking - RETIRED == set()


@pytest.mark.parametrize(
    ("change", "breaks"),
    [
        (migrations.AddField("x", "y", models.IntegerField(null=True)), False),
        (migrations.AddField("x", "y", models.IntegerField(db_default=0)), False),
        (migrations.AddField("x", "y", models.IntegerField(default=0)), True),
        (
            migrations.AddField(
                "x",
                "y",
                models.GeneratedField(
                    expression=models.F("z") + 1, output_field=models.IntegerField(), db_persist=True
                ),
            ),
            False,
        ),
        (migrations.RemoveField("x", "y"), True),
        (migrations.RenameField("x", "y", "z"), True),
    ],
    ids=["may be null", "default in the database", "default in Python", "computed", "removed", "renamed"],
)
def test_the_rule_recognises_breaking_changes(
    change: migrations.operations.base.Operation, breaks: bool
) -> None:
    """Older code does not know a default in Python: its INSERT omits the column."""
    assert breaks_older_code(change) is breaks


CHANGED = {
    "operations/migrations/0001_initial.py",
    "operations/migrations/0005_strategy_of_operation.py",
    "operations/migrations/0025_training_trials.py",
    "ktrdr_site/migrations/0003_token_scope_and_expiry.py",
}
"""The first two before there was a release, the third repaired by 0034_trials_without_ratio, the last only adds a default for older code."""


def test_a_migration_that_may_have_been_applied_never_changes() -> None:
    """A database that has applied it would keep the former schema. Write another migration instead."""
    history = ("log", "--diff-filter=M", "--format=", "--name-only", "--", "*/migrations/*.py")
    if not (ROOT / ".git").exists() or _git("rev-parse", "--is-shallow-repository").strip() == "true":
        pytest.skip("without the history of the repository")
    changed = set(_git(*history).split()) | set(
        _git("diff", "--diff-filter=M", "--name-only", "HEAD", *history[4:]).split()
    )
    assert changed - CHANGED == set()


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(ROOT), *arguments], check=True, capture_output=True, text=True
    ).stdout


def one_step_back(executor: MigrationExecutor) -> list[Key]:
    graph = executor.loader.graph
    targets = []
    for room in ROOMS:
        for leaf in graph.leaf_nodes(room):
            parents = [node.key for node in graph.node_map[leaf].parents if node.key[0] == room]
            targets += parents or [leaf]
    return targets


class Reporting(threading.Thread):
    """Older code at work: its models and columns, on a connection of its own, until it is stopped."""

    def __init__(self, apps: Any) -> None:
        super().__init__()
        self.apps = apps
        self.over = threading.Event()
        self.first = threading.Event()
        self.written: list[str] = []
        self.problem: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.over.is_set():
                self.written.append(report(self.apps))
                self.first.set()
        except BaseException as error:  # the test reports it
            self.problem = error
        finally:
            self.first.set()
            connections.close_all()


def report(apps: Any) -> str:
    """Write the rows of an operation from submission to completion with the given models."""
    operation_id = uuid4().hex
    operation = apps.get_model("operations", "Operation").objects.create(
        operation_id=operation_id, operation_type="echo", status="RUNNING", attempt=1
    )
    apps.get_model("operations", "Attempt").objects.create(
        operation=operation, number=1, worker_id=f"w-{operation_id}", instance_id="i", endpoint_url="http://w"
    )
    apps.get_model("operations", "LogLine").objects.create(
        operation=operation, attempt=1, seq=1, time="2026-01-01T00:00Z", level="info", message="a line"
    )
    apps.get_model("operations", "Attempt").objects.filter(operation=operation).update(
        ended_at="2026-01-01T00:00Z", outcome="completed"
    )
    apps.get_model("operations", "Operation").objects.filter(pk=operation_id).update(
        status="COMPLETED", completed_at="2026-01-01T00:00Z", result={"answer": 42}
    )
    apps.get_model("operations", "Event").objects.create(
        operation=operation, kind="status", from_status="RUNNING", to_status="COMPLETED", actor="worker:w"
    )
    apps.get_model("registry", "Worker").objects.update_or_create(
        worker_id="w",
        defaults={"worker_type": "echo", "endpoint_url": "http://w", "instance_id": operation_id},
    )
    return operation_id


@pytest.mark.django_db(transaction=True)
def test_the_newest_migrations_can_be_applied_while_older_code_keeps_reporting() -> None:
    executor = MigrationExecutor(connection)
    newest = [leaf for room in ROOMS for leaf in executor.loader.graph.leaf_nodes(room)]
    before = one_step_back(executor)
    older = executor.loader.project_state(before).apps
    executor.migrate(before)
    reporting = Reporting(older)
    try:
        reporting.start()
        assert reporting.first.wait(60)
        MigrationExecutor(connection).migrate(newest)
        written = len(reporting.written)
        report(older)
    finally:
        reporting.over.set()
        reporting.join(30)
        MigrationExecutor(connection).migrate(newest)
    assert reporting.problem is None
    assert written > 0
    stored = Operation.objects.filter(pk__in=reporting.written)
    assert stored.count() == len(reporting.written)
    assert {row.status for row in stored} == {"COMPLETED"}
