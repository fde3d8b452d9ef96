"""Workers that leave or are removed at the moment at which they are claimed, or at which their successor registers."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from access.actors import Actor
from operations.models import Attempt
from operations.registry_adapter import RegistryAdapter
from registry import cleanup, enrolment, health, registration, sweeps
from registry.health_checks import CheckResults
from registry.models import Worker, WorkerStatus
from tests.claiming import claim_next
from tests.factories import OperationFactory, WorkerFactory
from tests.interleaving import act_before_commit_of

ME = Actor("user:test")
LONG_AGO = timedelta(days=1)


def leave(worker: Worker, how: str) -> None:
    if how == "deregister":
        registration.deregister(worker.pk, worker.instance_id)
        return
    token, _ = enrolment.issue("pool", [], ME)
    Worker.objects.filter(pk=worker.pk).update(enrolled_with=token)
    enrolment.revoke(token, ME)


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["deregister", "revoke"])
def test_an_operation_that_gets_a_worker_while_it_leaves_waits_for_another_one(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, operation = WorkerFactory(), OperationFactory()
    mark_interrupted = RegistryAdapter.mark_interrupted
    claims = []

    def claim_after_it(self: RegistryAdapter, *arguments: Any) -> int:
        ended = mark_interrupted(self, *arguments)
        claims.append(claim_next(ME))
        return ended

    monkeypatch.setattr(RegistryAdapter, "mark_interrupted", claim_after_it)
    leave(worker, how)
    assert claims[0] is not None, "its attempt was ended, so it was free"
    assert not Worker.objects.exists()
    assert not Attempt.objects.filter(ended_at=None).exists(), "nobody would follow it"
    operation.refresh_from_db()
    assert (operation.status, operation.attempts.get().outcome) == ("PENDING", "interrupted")


@pytest.mark.django_db
def test_the_sweep_ends_what_a_worker_had_whose_removal_was_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that removes it dies when the row is gone."""
    for _ in range(2):
        WorkerFactory()
    operation, other = OperationFactory(), OperationFactory()
    assert claim_next(ME) is not None
    assert claim_next(ME) is not None
    Worker.objects.exclude(pk=Attempt.objects.get(operation=other).worker_id).delete()
    monkeypatch.setattr(health, "check_all", lambda endpoints: CheckResults())
    assert health.sweep() is not None
    operation.refresh_from_db()
    other.refresh_from_db()
    assert (operation.status, other.status) == ("PENDING", "DISPATCHING")
    assert operation.attempts.get().outcome == "interrupted"


@pytest.mark.django_db(transaction=True)
def test_a_process_that_leaves_does_not_take_its_successor_with_it() -> None:
    worker = WorkerFactory(instance_id="old")

    def register() -> None:
        Worker.objects.filter(pk=worker.pk).update(instance_id="new")

    assert not act_before_commit_of(register, lambda: registration.deregister(worker.pk, "old"))
    assert Worker.objects.get().instance_id == "new"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("changes", [{"instance_id": "new"}, {}], ids=["another process", "the same process"])
def test_the_cleanup_leaves_a_worker_that_comes_back_while_it_looks(
    changes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "were_interrupted", lambda: False)
    worker = WorkerFactory(
        status=WorkerStatus.TEMPORARILY_UNAVAILABLE, unavailable_since=Now() - LONG_AGO, instance_id="old"
    )

    def come_back() -> None:
        back = {"status": WorkerStatus.BUSY, "unavailable_since": None, **changes}
        Worker.objects.filter(pk=worker.pk).update(**back)

    summary = act_before_commit_of(come_back, cleanup.cleanup)
    assert summary is not None
    assert summary["removed_workers"] == []
    assert Worker.objects.filter(pk=worker.pk).exists()
