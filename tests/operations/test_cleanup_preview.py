"""`cleanup --dry-run` counts what the next cleanup removes, and changes nothing."""

import json
import os
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db.models.functions import Now

from access.actors import Actor
from operations import artifacts, deletion
from operations.models import Delivery, Operation, StoredFile, Subscription
from registry.cleanup import cleanup, preview
from registry.models import Sweep, Worker, WorkerStatus
from strategies.models import SavedStrategy
from tests.factories import OperationFactory, WorkerFactory
from tests.operations.test_labels import create_completed

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(days=400)


@pytest.fixture
def remains(settings: Any) -> None:
    """One of everything that a cleanup removes, beside one that it leaves."""
    for _ in range(4):
        WorkerFactory()
    gone = WorkerFactory(worker_id="gone")
    Worker.objects.filter(pk=gone.pk).update(
        status=WorkerStatus.TEMPORARILY_UNAVAILABLE, unavailable_since=Now() - LONG_AGO
    )
    Sweep.objects.create(kind=Sweep.Kind.HEALTH, completed_at=Now())
    for operation, age in ((create_completed(), LONG_AGO), (create_completed(), timedelta(0))):
        deletion.delete(operation.pk, Actor("user:me"))
        Operation.with_deleted.filter(pk=operation.pk).update(deleted_at=Now() - age)
    for age in (LONG_AGO, timedelta(0)):
        OperationFactory(operation_type="strategy_preview", status="COMPLETED", completed_at=Now() - age)
    for name, age in (("old", LONG_AGO), ("new", timedelta(0))):
        SavedStrategy.objects.create(name=name, deleted_at=Now() - age)
    for content, age in ((b"four", LONG_AGO), (b"new", timedelta(0))):
        file = artifacts.put([content])
        StoredFile.objects.filter(pk=file.pk).update(touched_at=Now() - age)
    partial = Path(settings.DATA_DIR) / "artifacts" / ".incoming-x"
    partial.touch()
    old_s = time.time() - LONG_AGO.total_seconds()
    os.utime(partial, (old_s, old_s))
    subscription = Subscription.objects.create(name="on call", channel="webhook", target="https://1.1.1.1/")
    Delivery.objects.create(
        subscription=subscription,
        kind="operation.failed",
        payload={},
        state="failed",
        ended_at=Now() - LONG_AGO,
    )


def state() -> dict[str, Any]:
    tables = (Worker, SavedStrategy, StoredFile, Delivery, Sweep)
    rows = {table.__name__: list(table._base_manager.order_by("pk").values()) for table in tables}
    files = sorted(str(path) for path in (Path(django_settings.DATA_DIR) / "artifacts").rglob("*"))
    return {**rows, "operations": list(Operation.with_deleted.order_by("pk").values()), "files": files}


def test_the_preview_changes_nothing_and_the_cleanup_removes_what_it_lists(remains: None) -> None:
    OperationFactory()
    before = state()
    listed = preview()
    assert state() == before
    assert listed == {
        "removed_workers": ["gone"], "held_back": [], "removed_operations": 1, "removed_previews": 1, "removed_uploads": 0,
        "removed_strategies": 1,
        "removed_files": 1, "removed_bytes": 4, "removed_orphans": 1, "removed_deliveries": 1,
    }  # fmt: skip
    removed = cleanup()
    assert removed is not None
    assert {name: removed[name] for name in listed if name != "removed_bytes"} == {
        name: value for name, value in listed.items() if name != "removed_bytes"
    }
    empty = preview()
    assert not any(empty.values()), empty


def test_workers_that_a_cleanup_holds_back_are_listed_as_such(remains: None) -> None:
    Sweep.objects.all().delete()
    assert (preview()["removed_workers"], preview()["held_back"]) == ([], ["gone"])


def test_the_command_prints_both_forms(remains: None) -> None:
    out = StringIO()
    call_command("cleanup", "--dry-run", stdout=out)
    assert "removed workers: gone\nheld back: none\n" in out.getvalue()
    assert out.getvalue().endswith("This was a dry run; nothing was removed.\n")
    out = StringIO()
    call_command("cleanup", "--dry-run", "--json", stdout=out)
    assert json.loads(out.getvalue()) == preview()
