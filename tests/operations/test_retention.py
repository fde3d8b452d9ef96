"""`manage.py prune` removes what was asked for, of operations that ended long enough ago, and nothing else."""

import gzip
import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.utils import timezone

from operations import interventions, retention
from operations.actors import Actor
from operations.models import Artifact, Event, LogLine, MetricPoint, Operation
from tests.factories import OperationFactory, StoredFileFactory

pytestmark = pytest.mark.django_db
ME = Actor("user:test")


def make(days_ago: float, **fields: Any) -> Operation:
    """An operation with a log line, a metric point, a file and an event, which ended so long ago."""
    operation = OperationFactory(**fields)
    common = {"operation": operation, "attempt": 1, "seq": 1, "time": timezone.now()}
    LogLine.objects.create(**common, level="info", message='a "line"\nwith \\ all')
    MetricPoint.objects.create(**common, name="loss", step=1, value=0.5)
    Artifact.objects.create(operation=operation, role="output", name="x", file=StoredFileFactory())
    interventions.cancel(operation.pk, ME)
    Operation.objects.filter(pk=operation.pk).update(completed_at=Now() - timedelta(days=days_ago))
    return operation


def prune(*arguments: str) -> dict[str, dict[str, int]]:
    output = StringIO()
    call_command("prune", *arguments, "--json", stdout=output)
    return json.loads(output.getvalue())


def left() -> tuple[int, ...]:
    return tuple(table.objects.count() for table in (Operation, LogLine, MetricPoint, Event, Artifact))


@pytest.mark.parametrize(
    ("flag", "rows"),
    [
        ("--logs", (3, 2, 3, 3, 3)),
        ("--metrics", (3, 3, 2, 3, 3)),
        ("--events", (3, 3, 3, 2, 3)),
        ("--operations", (2, 2, 2, 2, 2)),
    ],
)
def test_only_the_part_that_was_named_of_old_operations_is_removed(flag: str, rows: tuple[int, ...]) -> None:
    make(40)
    make(20)
    OperationFactory()
    make(1)
    Operation.objects.filter(status="PENDING").delete()
    counted = prune(flag, "30", "--dry-run")
    assert left() == (3, 3, 3, 3, 3)
    assert prune(flag, "30") == counted
    assert left() == rows
    assert prune(flag, "30") == {flag[2:]: dict.fromkeys(counted[flag[2:]], 0)}


def test_the_archive_has_every_row_that_was_removed(tmp_path: Path) -> None:
    old = [make(40) for _ in range(retention.BATCH + 1)]
    counts = prune("--operations", "30", "--archive", str(tmp_path))["operations"]
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o077 == 0
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    assert {table: sum(line["table"] == table for line in lines) for table in counts} == counts
    messages = {line["row"]["message"] for line in lines if line["table"] == "operations_logline"}
    assert messages == {'a "line"\nwith \\ all'}
    keys = {line["row"]["operation_id"] for line in lines if line["table"] == "operations_operation"}
    assert keys == {operation.pk for operation in old}


def test_nothing_is_removed_that_could_not_be_archived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(40)

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(retention.os, "fsync", fail)
    with pytest.raises(CommandError, match="No space left"):
        prune("--operations", "30", "--archive", str(tmp_path))
    assert left() == (1, 1, 1, 1, 1)


def test_what_a_kept_operation_waited_for_stays() -> None:
    first, second = make(40), OperationFactory()
    second.after.set([first])
    prune("--operations", "30")
    assert Operation.objects.filter(pk=first.pk).exists()


@pytest.mark.parametrize(
    "arguments", [(), ("--archive", "/nowhere", "--logs", "5"), ("--logs", "0"), ("--logs", "x")]
)
def test_a_wrong_request_is_refused_in_a_sentence(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        prune(*arguments)


def test_what_ends_again_while_others_are_removed_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was retried after the old operations had been listed."""
    first, retried = make(41), make(40)
    monkeypatch.setattr(retention, "BATCH", 1)
    remove_rows = retention.remove_rows

    def end_again(*arguments: Any) -> dict[str, int]:
        Operation.objects.filter(pk=retried.pk).update(completed_at=Now())
        return remove_rows(*arguments)

    monkeypatch.setattr(retention, "remove_rows", end_again)
    assert prune("--operations", "30")["operations"]["operations_operation"] == 1
    assert [operation.pk for operation in Operation.objects.exclude(pk=first.pk)] == [retried.pk]
    assert left() == (1, 1, 1, 1, 1)
