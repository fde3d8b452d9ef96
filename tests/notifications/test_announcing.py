"""Each event creates one delivery per subscription, in its own transaction."""

import pytest
from django.db import transaction
from django.db.models.functions import Now

from operations import interruptions, reports
from operations.actors import SYSTEM
from operations.models import Delivery, Operation
from registry.cleanup import cleanup
from registry.models import Sweep, WorkerStatus
from tests.claiming import start_next
from tests.factories import OperationFactory, WorkerFactory
from tests.notifications.conftest import Subscribe
from worker_agent.protocol import ErrorClass, OperationError, Outcome, Report

pytestmark = pytest.mark.django_db


def running(**fields: object) -> Operation:
    WorkerFactory(worker_id="w", instance_id="first")
    operation = OperationFactory(**fields)
    start_next(SYSTEM)
    return operation


def finish(operation: Operation, outcome: Outcome = Outcome.COMPLETED) -> None:
    error = (
        OperationError(error_class=ErrorClass.JOB, message="no bars") if outcome is Outcome.FAILED else None
    )
    report = Report(attempt=1, instance_id="first", outcome=outcome, error=error)
    reports.apply(operation.pk, "w", report)
    reports.apply(operation.pk, "w", report)


def test_the_end_of_an_operation_is_noted_once_however_often_it_is_reported(subscribe: Subscribe) -> None:
    subscribe()
    operation = running()
    finish(operation)
    noted = Delivery.objects.get()
    assert (noted.kind, noted.state) == ("operation.completed", "pending")
    assert noted.payload["data"]["operation_id"] == operation.pk
    assert noted.payload["data"]["url"].endswith(f"/dashboard/operations/{operation.pk}")


def test_a_failure_says_why(subscribe: Subscribe) -> None:
    subscribe()
    finish(running(), Outcome.FAILED)
    noted = Delivery.objects.get()
    assert noted.kind == "operation.failed"
    assert noted.payload["data"]["error"] == {"class": "job", "message": "no bars"}


def test_only_what_was_asked_for_is_noted(subscribe: Subscribe) -> None:
    subscribe(name="other kind", kinds=["operation.failed"])
    subscribe(name="other type", operation_type="training")
    subscribe(name="paused", active=False)
    subscribe(name="this type", operation_type="echo")
    finish(running())
    assert [noted.subscription.name for noted in Delivery.objects.all()] == ["this type"]


def test_what_is_rolled_back_is_told_to_nobody(subscribe: Subscribe) -> None:
    subscribe()
    operation = running()
    with transaction.atomic():
        finish(operation)
        transaction.set_rollback(True)
    assert not Delivery.objects.exists()


def test_a_worker_lost_with_its_work_and_removed_later_is_told_of_once(subscribe: Subscribe) -> None:
    subscribe(kinds=["worker.lost"])
    operation = running()
    interruptions.mark_lost(operation.pk, 1, SYSTEM, "w: unavailable for too long")
    WorkerFactory._meta.model.objects.filter(pk="w").update(
        status=WorkerStatus.TEMPORARILY_UNAVAILABLE, unavailable_since="2020-01-01T00:00Z"
    )
    Sweep.objects.create(kind=Sweep.Kind.HEALTH, completed_at=Now())
    assert cleanup() is not None
    assert not WorkerFactory._meta.model.objects.exists()
    noted = Delivery.objects.get()
    assert (noted.payload["data"]["worker_id"], noted.payload["data"]["operation_id"]) == ("w", operation.pk)


def test_an_idle_worker_that_is_removed_is_told_of(subscribe: Subscribe) -> None:
    subscribe(kinds=["worker.lost"])
    WorkerFactory(
        worker_id="idle",
        status=WorkerStatus.TEMPORARILY_UNAVAILABLE,
        unavailable_since="2020-01-01T00:00Z",
    )
    Sweep.objects.create(kind=Sweep.Kind.HEALTH, completed_at=Now())
    cleanup()
    assert Delivery.objects.get().payload["data"]["worker_id"] == "idle"


def test_no_subscription_no_delivery(subscribe: Subscribe) -> None:
    finish(running())
    assert not Delivery.objects.exists()
