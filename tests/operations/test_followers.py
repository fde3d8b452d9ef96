"""What waits for an ended operation ends with it: long chains, wide fans, and many cancels at the same moment."""

import random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access import conflicts
from operations import attempts, followers, interventions, lifecycle
from operations.actors import Actor
from operations.models import Delivery, Event, Operation, Subscription
from operations.states import FINAL, Status
from tests.claiming import claim_next
from tests.factories import OperationFactory, WorkerFactory
from tests.operations.test_at_once import at_once
from worker_agent.protocol import ErrorClass, OperationError

ME = Actor("user:test")


def make_graph(edges: list[tuple[int, int]], size: int) -> list[Operation]:
    """Create `size` operations; an edge (i, j) lets number i wait for number j."""
    rows = Operation.objects.bulk_create(Operation(operation_type="echo", parameters={}) for _ in range(size))
    link = Operation.after.through
    link.objects.bulk_create(link(from_operation_id=rows[i].pk, to_operation_id=rows[j].pk) for i, j in edges)
    return rows


def statuses() -> set[str]:
    return set(Operation.objects.values_list("status", flat=True))


@pytest.mark.django_db
def test_a_chain_of_500_ends_in_a_bounded_number_of_statements() -> None:
    chain = make_graph([(i + 1, i) for i in range(499)], 500)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        interventions.cancel(chain[0].pk, ME)
    assert statuses() == {"CANCELLED"}
    assert len(queries) < 40
    reasons = set(Event.objects.filter(to_status="CANCELLED").values_list("reason", flat=True))
    assert reasons == {
        "cancelled",
        f"waits for {chain[0].pk}, which is CANCELLED",
        f"waits for operations that wait for {chain[0].pk}, which is CANCELLED",
    }


@pytest.mark.django_db
def test_2500_followers_end_in_batches_with_an_event_and_a_delivery_each() -> None:
    Subscription.objects.create(
        name="s", channel="webhook", target="http://127.0.0.1:1", kinds=["operation.failed"]
    )
    fan = make_graph([(i, 0) for i in range(1, 2501)], 2501)
    root = lifecycle.lock(fan[0].pk)
    lifecycle.fail(root, OperationError(error_class=ErrorClass.INVALID, message="no"), ME)
    assert statuses() == {"FAILED"}
    assert Event.objects.filter(to_status="FAILED").count() == Delivery.objects.count() == 2501
    follower = Operation.objects.get(pk=fan[1].pk)
    assert follower.error_message == f"It waits for {root.pk}, which is FAILED."
    assert (follower.error_class, follower.completed_at is not None) == ("invalid", True)


@pytest.mark.django_db
def test_only_what_is_pending_ends_and_a_cycle_is_no_trap() -> None:
    rows = make_graph([(1, 0), (2, 1), (1, 2), (3, 0), (4, 3)], 5)
    interventions.cancel(rows[3].pk, ME)
    Operation.objects.filter(pk=rows[4].pk).update(status="PENDING", completed_at=None)
    interventions.cancel(rows[0].pk, ME)
    assert [Operation.objects.get(pk=row.pk).status for row in rows] == ["CANCELLED"] * 4 + ["PENDING"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("levels", [2, 5])
def test_30_cancels_of_a_diamond_at_once_need_no_retry(levels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each level waits for all of the level before it, and every operation is cancelled at the same moment."""
    monkeypatch.setattr(conflicts, "MAX_TRIES", 1)
    width = 30 // levels
    edges = [
        (level * width + i, (level - 1) * width + j)
        for level in range(1, levels)
        for i in range(width)
        for j in range(width)
    ]
    rows = make_graph(edges, 30)

    def cancel(row: Operation) -> str:
        try:
            return interventions.cancel(row.pk, ME).status
        except lifecycle.WrongState:
            return "ended with another one"

    results = at_once(*(lambda row=row: cancel(row) for row in random.sample(rows, 30)))
    assert set(results) <= {"CANCELLED", "ended with another one"}
    assert statuses() == {"CANCELLED"}
    assert Event.objects.filter(to_status="CANCELLED").count() == 30


@pytest.mark.django_db(transaction=True)
def test_failures_and_cancels_of_one_graph_at_once_end_everything() -> None:
    for _ in range(10):
        WorkerFactory()
    for _ in range(5):
        roots = [OperationFactory() for _ in range(5)]
        for _ in roots:
            assert claim_next(ME) is not None
        waiting = [OperationFactory() for _ in range(10)]
        for row in waiting:
            row.after.set(random.sample(roots, 3))

        def fail(row: Operation) -> None:
            attempts.fail_invalid(row.pk, 1, ME, "no")

        def cancel(row: Operation) -> None:
            try:
                interventions.cancel(row.pk, ME)
            except lifecycle.WrongState:
                return

        at_once(
            *(lambda row=row: fail(row) for row in roots),
            *(lambda row=row: cancel(row) for row in random.sample(waiting, 5)),
        )
        ended = Operation.objects.filter(pk__in=[row.pk for row in (*roots, *waiting)])
        assert set(ended.values_list("status", flat=True)) <= {Status.FAILED, Status.CANCELLED}
        assert Event.objects.filter(operation__in=ended, to_status__in=FINAL).count() == 15


@pytest.mark.django_db
def test_an_operation_submitted_behind_a_follower_meanwhile_ends_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root, follower = make_graph([(1, 0)], 2)
    lock, late = followers._lock, []

    def lock_late(keys: set[str]) -> list[Operation]:
        if not late and follower.pk in keys and root.pk not in keys:
            late.append(OperationFactory())
            late[0].after.set([follower])
        return lock(keys)

    monkeypatch.setattr(followers, "_lock", lock_late)
    interventions.cancel(root.pk, ME)
    assert late
    assert statuses() == {"CANCELLED"}
