"""Acceptances that arrive together are stored together, and one that raises harms no other."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError

from operations import attempts, interruptions
from operations.actors import DISPATCHER, Actor
from operations.dispatching import claims
from operations.dispatching.acceptances import Acceptances
from operations.dispatching.planning import Planner
from operations.models import Event, Operation
from tests.factories import OperationFactory, WorkerFactory

pytestmark = pytest.mark.django_db
NUMBER = 5


@pytest.fixture
def numbers() -> dict[str, int]:
    """Claimed attempts, numbers by operation id."""
    for _ in range(NUMBER):
        OperationFactory()
        WorkerFactory()
    some = claims.claim_some(Planner().make_plan(), DISPATCHER)
    assert len(some) == NUMBER
    return {claim.operation_id: claim.attempt for claim in some}


@async_to_sync
async def store_all(started: Mapping[str, int]) -> list[BaseException | None]:
    """Store them as tasks of one dispatcher do; return what each one raised."""
    acceptances = Acceptances()
    stores = [acceptances.store(operation_id, attempt) for operation_id, attempt in started.items()]
    return await asyncio.gather(*stores, return_exceptions=True)


def test_acceptances_that_wait_together_are_stored_with_one_statement(
    numbers: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[set[str]] = []
    accept_all = attempts.accept_all

    def note(some: Mapping[str, int], actor: Actor) -> set[str]:
        calls.append(set(some))
        return accept_all(some, actor)

    monkeypatch.setattr(attempts, "accept_all", note)
    assert store_all(numbers) == [None] * NUMBER
    assert calls == [set(numbers)]
    assert Operation.objects.filter(status="RUNNING", started_at__isnull=False).count() == NUMBER
    assert Event.objects.filter(to_status="RUNNING", attempt=1).count() == NUMBER


def test_an_acceptance_that_raises_harms_only_its_own_operation(
    numbers: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = sorted(numbers)[2]
    accept_all = attempts.accept_all

    def break_it(some: Mapping[str, int], actor: Actor) -> set[str]:
        if victim in some:
            raise ZeroDivisionError("a defect")
        return accept_all(some, actor)

    monkeypatch.setattr(attempts, "accept_all", break_it)
    errors = dict(zip(numbers, store_all(numbers), strict=True))
    assert isinstance(errors.pop(victim), ZeroDivisionError)
    assert set(errors.values()) == {None}
    running = set(Operation.objects.filter(status="RUNNING").values_list("pk", flat=True))
    assert running == set(numbers) - {victim}


def test_trouble_of_the_database_concerns_all_and_is_not_tried_for_each(
    numbers: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def fail(*args: Any) -> set[str]:
        calls.append(args)
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(attempts, "accept_all", fail)
    assert [type(error) for error in store_all(numbers)] == [OperationalError] * NUMBER
    assert len(calls) == 1


def test_only_current_attempts_are_accepted(numbers: dict[str, int]) -> None:
    superseded, cancelling, ended, *rest = sorted(numbers)
    Operation.objects.filter(pk=cancelling).update(status="CANCELLING")
    assert interruptions.reject(ended, 1, DISPATCHER, "busy")
    accepted = attempts.accept_all({**numbers, superseded: 2, "unknown": 1}, DISPATCHER)
    assert accepted == set(rest)
    assert dict(Operation.objects.values_list("pk", "status")) == {
        superseded: "DISPATCHING", cancelling: "CANCELLING", ended: "PENDING", **dict.fromkeys(rest, "RUNNING"),
    }  # fmt: skip
