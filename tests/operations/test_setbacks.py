"""An operation whose handling raises is postponed with growing pauses, and failed after some; nothing else is touched."""

from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Now

from operations import attempts, interventions, lifecycle, setbacks
from operations.actors import Actor
from operations.models import Operation
from operations.setbacks import MAX_SETBACKS, set_aside
from tests.claiming import claim_next
from tests.factories import OperationFactory, WorkerFactory

pytestmark = pytest.mark.django_db
ME = Actor("user:test")


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError


def make_due(operation: Operation) -> None:
    Operation.objects.filter(pk=operation.pk, not_before__isnull=False).update(not_before=Now())
    operation.attempts.filter(contact_after__isnull=False).update(contact_after=Now())


def claim(operation: Operation) -> None:
    WorkerFactory()
    found = claim_next(ME)
    assert found is not None
    assert found.operation_id == operation.pk


def bring_to(operation: Operation, status: str) -> None:
    if status != "PENDING":
        claim(operation)
    if status == "RUNNING":
        attempts.accept(operation.pk, 1, ME)
    if status == "CANCELLING":
        interventions.cancel(operation.pk, ME)


@pytest.mark.parametrize("status", ["PENDING", "DISPATCHING", "RUNNING", "CANCELLING"])
@pytest.mark.parametrize("error", [KeyError("x\x00\udc80" * 100), Unprintable()])
def test_setbacks_postpone_and_then_end_the_operation(status: str, error: Exception) -> None:
    operation = OperationFactory()
    bring_to(operation, status)
    for number in range(1, MAX_SETBACKS):
        set_aside(operation.pk, error)
        operation.refresh_from_db()
        assert (operation.status, operation.setbacks) == (status, number)
        attempt = operation.attempts.first()
        moment = attempt.contact_after if attempt else operation.not_before
        assert moment is not None
        assert Operation.objects.filter(pk=operation.pk, created_at__lt=moment).exists()
        assert claim_next(ME) is None
        make_due(operation)
    set_aside(operation.pk, error)
    operation.refresh_from_db()
    assert operation.status == ("CANCELLED" if status == "CANCELLING" else "FAILED")
    assert not operation.attempts.filter(ended_at__isnull=True).exists()
    assert operation.events.filter(kind="set_aside").count() == MAX_SETBACKS - 1
    if status != "CANCELLING":
        assert operation.error_message.startswith(
            f"The backend could not handle the operation {MAX_SETBACKS}"
        )
        assert len(operation.error_message) < 300


def test_each_pause_is_longer_than_the_one_before(settings: Any) -> None:
    settings.RETRY_BACKOFF_S = 10
    pauses = [setbacks.pause(number).total_seconds() for number in range(1, MAX_SETBACKS)]
    assert all(5 * 3**index <= pause <= 10 * 3**index for index, pause in enumerate(pauses))
    assert pauses == sorted(pauses)


def test_setbacks_use_up_no_attempts_and_a_run_or_a_retry_forgives_them() -> None:
    operation = OperationFactory(max_attempts=1)
    for _ in range(MAX_SETBACKS - 1):
        set_aside(operation.pk, KeyError("x"))
        make_due(operation)
    claim(operation)
    attempts.accept(operation.pk, 1, ME)
    operation.refresh_from_db()
    assert (operation.status, operation.setbacks) == ("RUNNING", 0)
    for _ in range(MAX_SETBACKS):
        set_aside(operation.pk, KeyError("x"))
    assert interventions.retry(operation.pk, ME).setbacks == 0


def test_an_operation_that_has_ended_or_is_gone_stays_as_it_is() -> None:
    operation = OperationFactory()
    interventions.cancel(operation.pk, ME)
    set_aside(operation.pk, KeyError("x"))
    set_aside("unknown", KeyError("x"))
    operation.refresh_from_db()
    assert (operation.status, operation.setbacks) == ("CANCELLED", 0)


@pytest.mark.parametrize("name", ["record", "lock", "fail", "move"])
def test_a_setback_that_cannot_be_recorded_still_postpones(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = OperationFactory(setbacks=MAX_SETBACKS - 1 if name in ("fail", "move") else 0)

    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("defect")

    monkeypatch.setattr(lifecycle, name, fail)
    set_aside(operation.pk, KeyError("x"))
    assert Operation.objects.filter(status="PENDING", not_before__gt=Now()).exists()
    set_aside(operation.pk, KeyError("x"))
    assert Operation.objects.filter(setbacks__gt=F("attempt")).exists()
