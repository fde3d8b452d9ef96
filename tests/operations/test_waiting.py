"""The reasons why operations wait, as people read them."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from operations.dispatching import reasons
from operations.dispatching.planning import Planner
from operations.models import Demand, Operation, Quota
from operations.queue_place import place_of
from operations.waiting import explain_wait, explain_waits
from registry.models import Worker
from tests.factories import OperationFactory, WorkerFactory

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def refresh() -> None:
    with transaction.atomic():
        reasons.refresh()


def reason(operation: Operation) -> str:
    operation = Operation.objects.get(pk=operation.pk)
    explain_waits([operation])
    return operation.waiting_reason


def full_reason(operation: Operation) -> str:
    operation = Operation.objects.get(pk=operation.pk)
    explain_wait(operation)
    return operation.waiting_reason


def completed(seconds: float, **fields: Any) -> Operation:
    begun = timezone.now() - HOUR
    return OperationFactory(
        status="COMPLETED", started_at=begun, completed_at=begun + timedelta(seconds=seconds), **fields
    )


def test_a_reason_is_stored_once_for_all_operations_with_the_same_demand() -> None:
    WorkerFactory(capabilities={"cores": 2})
    large = [OperationFactory(requirements={"cores": 4}) for _ in range(3)]
    small = OperationFactory()
    with CaptureQueriesContext(connection) as queries:
        refresh()
    assert len([query for query in queries if query["sql"].lstrip().startswith("UPDATE")]) == 1
    assert {reason(operation) for operation in large} == {"no echo worker has cores>=4"}
    assert reason(small) == "1 echo worker, 1 about to be assigned"
    assert Demand.objects.count() == 2
    assert not Operation.objects.exclude(waiting_reason="").exists()


def test_a_reason_that_did_not_change_is_not_written() -> None:
    OperationFactory()
    refresh()
    version = "SELECT xmin::text FROM operations_demand"
    with connection.cursor() as cursor:
        cursor.execute(version)
        before = cursor.fetchall()
        refresh()
        cursor.execute(version)
        assert cursor.fetchall() == before


def test_operations_wait_for_others_for_a_pause_and_for_workers() -> None:
    first, second = OperationFactory(pk="a" * 16), OperationFactory(pk="b" * 16)
    follower = OperationFactory(after=[second, first, completed(1)])
    paused = OperationFactory(
        not_before=datetime.fromisoformat("2199-01-01T14:03:22Z"), waiting_reason="worker lost"
    )
    refresh()
    assert reason(follower) == f"waits for {first.pk}, {second.pk}"
    assert reason(paused) == "worker lost; next try at 14:03:22 UTC"
    assert reason(first) == "no worker has ever announced operations of type echo"
    assert reason(completed(1)) == ""


def test_many_operations_cost_a_fixed_number_of_queries(django_assert_num_queries: Any) -> None:
    first = OperationFactory()
    for number in range(20):
        OperationFactory(requirements={"cores": number})
        OperationFactory(after=[first])
    rows = list(Operation.objects.all())
    with django_assert_num_queries(2):
        explain_waits(rows)


def test_the_place_counts_own_operations_and_as_many_turns_of_each_other_user() -> None:
    me, busy, quiet = (User.objects.create_user(name) for name in ("me", "busy", "quiet"))
    mine = [OperationFactory(created_by=me) for _ in range(3)]
    for _ in range(10):
        OperationFactory(created_by=busy)
    OperationFactory(created_by=quiet)
    OperationFactory(created_by=quiet, requirements={"cores": 99})
    assert [place_of(Operation.objects.get(pk=one.pk)).position for one in mine] == [
        1 + 1 + 1,
        2 + 2 + 1,
        3 + 3 + 1,
    ]


def test_the_reason_states_position_and_an_estimate_from_history() -> None:
    for seconds in (100, 200, 300):
        completed(seconds)
    WorkerFactory(status="BUSY")
    WorkerFactory(status="BUSY")
    rows = [OperationFactory() for _ in range(3)]
    refresh()
    assert (
        full_reason(rows[0]) == "2 echo workers, all busy, position 1, expected to start in about 1 min 40 s"
    )
    assert (
        full_reason(rows[2]) == "2 echo workers, all busy, position 3, expected to start in about 5 min 0 s"
    )
    Worker.objects.update(cordoned=True)
    refresh()
    assert full_reason(rows[2]) == "2 echo workers, all cordoned, position 3"


def test_a_limit_of_the_user_is_the_reason() -> None:
    user = User.objects.create_user("limited")
    Quota.objects.create(user=user, max_running=1)
    WorkerFactory()
    OperationFactory(created_by=user, status="RUNNING")
    waiting = OperationFactory(created_by=user)
    refresh()
    assert full_reason(waiting) == "its user has reached the limit of 1 running operations"


def test_a_demand_whose_row_was_deleted_is_stored_again() -> None:
    OperationFactory()
    WorkerFactory()
    Demand.objects.all().delete()
    assert Planner().make_plan().choose() is None
    refresh()
    assert Planner().make_plan().choose() is not None
