"""What a round of the dispatcher has to do is read with one statement, and misses nothing."""

from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from access.prepared import fetch
from operations.dispatching import lanes
from operations.dispatching.dispatcher import Dispatcher, db
from operations.dispatching.due import Due, read_due
from operations.models import Attempt, Operation
from tests.claiming import claim_next
from tests.factories import OperationFactory, WorkerFactory
from tests.operations.test_dispatch_pauses import ME

pytestmark = pytest.mark.django_db
PAST, FUTURE = Now() - timedelta(seconds=1), Now() + timedelta(hours=1)


@pytest.mark.parametrize(
    ("fields", "due"),
    [
        ({}, Due(False, False, True)),
        ({"blockers": 1}, Due(False, False, False)),
        ({"blockers": None}, Due(False, True, False)),
        ({"not_before": FUTURE}, Due(False, False, False)),
        ({"not_before": PAST}, Due(False, True, False)),
        ({"status": "CANCELLED", "completed_at": PAST}, Due(False, False, False)),
    ],
)
def test_waiting_operations_are_due_when_they_can_be_claimed_or_admitted(
    fields: dict[str, Any], due: Due
) -> None:
    operation = OperationFactory()
    Operation.objects.filter(pk=operation.pk).update(**fields)
    assert read_due() == due


@pytest.mark.parametrize(
    ("fields", "is_due"),
    [
        ({"contact_after": FUTURE}, False),
        ({"contact_after": PAST}, True),
        ({"contact_after": PAST, "ended_at": PAST, "outcome": "completed"}, False),
    ],
)
def test_attempts_are_due_from_the_moment_at_which_they_are_to_be_contacted(
    fields: dict[str, Any], is_due: bool
) -> None:
    OperationFactory()
    WorkerFactory()
    assert claim_next(ME) is not None
    Attempt.objects.update(**fields)
    assert read_due() == Due(is_due, False, False)


def test_a_round_without_work_reads_only_that_there_is_none() -> None:
    WorkerFactory()

    @async_to_sync
    async def make_rounds() -> list[int]:
        async with Dispatcher() as dispatcher:
            numbers = []
            for _ in range(3):
                assert await dispatcher.round() == 0
                numbers.append(await db(lambda: len(statements)))
            return numbers

    with CaptureQueriesContext(connection) as statements:
        first, second, third = make_rounds()  # the first with what is due once a second
    assert (second - first, third - second) == (1, 1)


def test_the_plan_of_the_lanes_is_kept() -> None:
    OperationFactory()
    for number in range(10):
        assert len(lanes.heads({"echo"}, {str(one) for one in range(number)})) == 1
    statement = (
        "SELECT generic_plans > 0 FROM pg_prepared_statements WHERE statement LIKE '%%RECURSIVE lane%%'"
    )
    assert fetch(statement, {}) == [(True,)]
