"""Whose turn it is, against a literal model, and the plan that a round makes of the database."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from itertools import chain
from math import inf
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from operations.actors import Actor
from operations.attempts import Start
from operations.dispatching import admission, claims, planning, reasons
from operations.dispatching.claims import Claim
from operations.dispatching.lanes import Lane
from operations.dispatching.planning import Planner
from operations.dispatching.turns import Plan
from operations.models import Attempt, Demand, Event, Operation, Quota
from operations.models.queued import AGING_S
from operations.quotas import Allowance
from tests.claiming import claim_next
from tests.factories import OperationFactory, WorkerFactory

ME = Actor("user:test")
lanes = st.lists(
    st.builds(
        Lane,
        demand=st.sampled_from("ab"),
        owner=st.integers(1, 3),
        rank=st.integers(0, 50).map(float),
        priority=st.integers(-2, 2),
    ),
    min_size=1,
    max_size=8,
)


weights = st.fixed_dictionaries({owner: st.sampled_from([0.5, 1.0, 3.0]) for owner in (1, 2, 3)})


@given(lanes=lanes, running=st.dictionaries(st.integers(1, 3), st.integers(0, 3)), weights=weights)
def test_the_lowest_rank_sets_the_level_at_which_users_take_turns(
    lanes: list[Lane], running: dict[int, int], weights: dict[int, float]
) -> None:
    chosen = Plan(
        lanes, {}, {}, Counter(running), {one: Allowance(weights[one], inf, inf) for one in weights}
    ).choose()
    first = sorted(lanes, key=lambda lane: lane.rank)[0]
    assert chosen is not None
    assert chosen.priority >= first.priority
    for other in lanes:
        if other.priority >= first.priority:
            mine, theirs = (running.get(lane.owner, 0) / weights[lane.owner] for lane in (chosen, other))
            assert (mine, chosen.rank) <= (theirs, other.rank)


def test_with_more_users_than_workers_each_has_its_turn_and_a_new_user_is_next() -> None:
    """All shares are 0 whenever the only worker becomes free."""
    weights = {1: 1.0, 2: 1.0, 3: 2.0}
    plan = Plan([Lane("a", owner, owner, 0) for owner in weights], {("t", "{}"): 100}, {("t", "{}"): {"a"}})
    plan.allowances = {owner: Allowance(weight, inf, inf) for owner, weight in weights.items()}
    turns = []
    for now in range(12):
        plan.clock = partial(float, now)
        lane = plan.choose()
        assert lane is not None
        plan.take(lane, ("t", "{}"))
        plan.running.clear()
        turns.append(lane.owner)
    assert turns[:3] == [1, 2, 3]
    counts = Counter(turns)
    assert counts[3] >= 5, turns
    assert abs(counts[1] - counts[2]) <= 1, turns
    plan.lanes.append(Lane("a", 4, 99.0, 0))
    plan.allowances = {**plan.allowances, 4: Allowance(1.0, inf, inf)}
    chosen = plan.choose()
    assert chosen is not None
    assert chosen.owner == 4


def users(number: int) -> list[User]:
    return [User.objects.create_user(f"user-{one}") for one in range(number)]


def owners(number: int) -> list[str]:
    """The users who get the next workers, each by a round of its own."""
    names = []
    while len(names) < number and (claim := claim_next(ME)) is not None:
        names.append(Operation.objects.get(pk=claim.operation_id).created_by.username)  # type: ignore[union-attr]
    return names


@pytest.mark.django_db
def test_a_long_queue_of_one_user_does_not_delay_the_others() -> None:
    long, short, late = users(3)
    for _ in range(10):
        OperationFactory(created_by=long)
    for user in (short, short, late):
        OperationFactory(created_by=user)
    for _ in range(6):
        WorkerFactory()
    assert owners(6) == ["user-0", "user-1", "user-2", "user-0", "user-1", "user-0"]


def claim_all(plan: Plan) -> list[Claim]:
    return list(chain.from_iterable(iter(lambda: claims.claim_some(plan, ME), [])))


@pytest.mark.django_db
def test_one_round_takes_turns_like_many() -> None:
    for user in users(3):
        for _ in range(3):
            OperationFactory(created_by=user)
    for _ in range(6):
        WorkerFactory()
    plan = Planner().make_plan()
    claimed = [claim.operation_id for claim in claim_all(plan)]
    by_user = Counter(Operation.objects.filter(pk__in=claimed).values_list("created_by__username", flat=True))
    assert by_user == {"user-0": 2, "user-1": 2, "user-2": 2}


@pytest.mark.django_db
def test_a_higher_priority_comes_first_and_an_old_operation_gains_priority() -> None:
    WorkerFactory()
    first, second = users(2)
    low = OperationFactory(created_by=first)
    high = OperationFactory(created_by=second, priority=3)
    assert next_claimed() == high.pk
    Operation.objects.filter(pk=low.pk).update(created_at=Now() - timedelta(seconds=3.5 * AGING_S))
    OperationFactory(created_by=second, priority=3)
    WorkerFactory()
    assert next_claimed() == low.pk


def next_claimed() -> str:
    claim = claim_next(ME)
    assert claim is not None
    return claim.operation_id


@pytest.mark.django_db
def test_operations_of_one_user_run_in_their_order() -> None:
    rows = [
        OperationFactory(requirements=requirements) for requirements in ({}, {"cores": 2}, {}, {"cores": 1})
    ]
    for number, row in enumerate(rows):
        created_at = Now() - timedelta(seconds=100 - number)
        Operation.objects.filter(pk=row.pk).update(created_at=created_at)
        WorkerFactory()
    assert [next_claimed() for _ in rows] == [row.pk for row in rows]


@pytest.mark.django_db
def test_what_no_free_worker_can_run_delays_nothing() -> None:
    for number in range(30):
        OperationFactory(requirements={"memory_gb": 100 + number}, priority=50)
    small = OperationFactory()
    WorkerFactory()
    assert next_claimed() == small.pk
    assert claim_next(ME) is None


@pytest.mark.django_db
def test_a_planner_learns_new_demands_and_new_workers() -> None:
    planner = Planner()

    def claim() -> Claim | None:
        return next(iter(claims.claim_some(planner.make_plan(), ME)), None)

    WorkerFactory()
    OperationFactory(requirements={"gpu": True})
    assert claim() is None
    large = OperationFactory(requirements={"memory_gb": 64})
    assert claim() is None
    WorkerFactory(capabilities={"memory_gb": 64})
    claimed = claim()
    assert claimed is not None
    assert claimed.operation_id == large.pk
    OperationFactory(requirements={"cores": 1})
    assert claim() is not None


@pytest.mark.django_db
@pytest.mark.parametrize("waiting", [1, 200])
def test_the_queries_of_a_round_do_not_depend_on_the_length_of_the_queue(waiting: int) -> None:
    for number in range(waiting):
        OperationFactory(requirements={"cores": number % 4}, parameters={"number": number})
    WorkerFactory()
    planner = Planner()
    planner.make_plan()  # learns the demands
    with CaptureQueriesContext(connection) as planning:
        plan = planner.make_plan()
    with CaptureQueriesContext(connection) as claiming:
        assert len(claims.claim_some(plan, ME)) == 1
        assert not claims.claim_some(plan, ME)
    assert len(planning) == 3, [query["sql"] for query in planning]
    assert len(claiming) == 5, [query["sql"] for query in claiming]


@pytest.mark.django_db
def test_the_first_operation_of_a_new_user_is_next_and_the_rows_of_the_queue_are_not_read() -> None:
    """The others have had their turns and have long queues. Rows and index entries that PostgreSQL read are counted."""
    owners = users(5)
    rows = [
        Operation(
            operation_type="echo",
            requirements={"cores": number % 3},
            created_by=owners[number % 5],
            blockers=0,
        )
        for number in range(3_000)
    ]
    Operation.objects.bulk_create(rows)
    admission.store_demands([row.pk for row in rows])
    planner = Planner()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE operations_operation, operations_demand")
        # Planning looks for the ends of indexes and reads what rolled-back tests left there: plan before it is counted.
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    for _ in range(2 * len(owners)):
        WorkerFactory(capabilities={"cores": 8})
        assert claims.claim_some(planner.make_plan(), ME)
    newcomer = OperationFactory(created_by=User.objects.create_user("newcomer"), requirements={"cores": 2})
    WorkerFactory(capabilities={"cores": 8})
    before = entries_read()
    (claim,) = claims.claim_some(planner.make_plan(), ME)
    assert claim.operation_id == newcomer.pk
    assert 0 < entries_read() - before < len(rows) / 10


def entries_read() -> int:
    """Return how many rows and index entries of operations this transaction has read."""
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT sum(pg_stat_get_xact_tuples_returned(oid)) FROM (
                SELECT indexrelid AS oid FROM pg_index WHERE indrelid = 'operations_operation'::regclass
                UNION ALL SELECT 'operations_operation'::regclass
            ) AS read
        """)
        ((number,),) = cursor.fetchall()
    return int(number)


@pytest.mark.django_db
def test_the_cleanup_removes_demands_that_no_operation_can_have_again() -> None:
    for number, status in enumerate(("PENDING", "RUNNING", "COMPLETED")):
        ended = "2026-01-01T00:00Z" if status == "COMPLETED" else None
        OperationFactory(requirements={"cores": number}, status=status, completed_at=ended)
    OperationFactory(requirements={"cores": 3}, not_before="2099-01-01T00:00Z")
    OperationFactory(requirements={"cores": 4}, blockers=1)
    admission.store_demands(list(Operation.objects.values_list("pk", flat=True)))
    assert admission.remove_idle_demands() == 1
    assert sorted(demand.requirements["cores"] for demand in Demand.objects.all()) == [0, 1, 3, 4]
    Demand.objects.all().delete()
    reasons.refresh()
    WorkerFactory()
    assert next_claimed() == Operation.objects.get(requirements={"cores": 0}).pk


@pytest.mark.django_db
def test_a_planner_forgets_demands_before_they_become_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "MAX_KNOWN_DEMANDS", 2)
    planner = Planner()
    for number in range(4):
        OperationFactory(requirements={"cores": number})
        WorkerFactory()
    assert all(claims.claim_some(planner.make_plan(), ME) for _ in range(4))
    assert len(planner._demands) <= 4


@pytest.mark.django_db
def test_a_round_without_a_free_worker_reads_no_lane() -> None:
    OperationFactory()
    planner = Planner()
    planner.make_plan()
    with CaptureQueriesContext(connection) as planning:
        assert planner.make_plan().choose() is None
    assert not [query["sql"] for query in planning if "RECURSIVE" in query["sql"]]


@pytest.mark.django_db
def test_an_operation_whose_claim_raises_is_set_aside_and_the_others_get_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad, good = OperationFactory(), OperationFactory()
    WorkerFactory()
    break_claims_of(bad, monkeypatch)
    assert next_claimed() == good.pk
    bad.refresh_from_db()
    assert (bad.status, bad.setbacks) == ("PENDING", 1)
    assert bad.not_before is not None
    assert "a defect" in bad.waiting_reason


def break_claims_of(bad: Operation, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = claims.attempts.begin

    def raise_for_bad(starts: Sequence[Start], *args: Any, **options: Any) -> Any:
        if bad.pk in {start.operation.pk for start in starts}:
            raise ZeroDivisionError("a defect")
        return begin(starts, *args, **options)

    monkeypatch.setattr(claims.attempts, "begin", raise_for_bad)


@pytest.mark.django_db
@pytest.mark.parametrize(("waiting", "free"), [(1, 1), (1, 3), (3, 1), (5, 3), (3, 5), (25, 25)])
def test_one_users_operations_are_claimed_together_in_their_order(waiting: int, free: int) -> None:
    rows = [OperationFactory() for _ in range(waiting)]
    for number, row in enumerate(rows):
        Operation.objects.filter(pk=row.pk).update(created_at=Now() - timedelta(seconds=100 - number))
    for _ in range(free):
        WorkerFactory()
    plan = Planner().make_plan()
    with CaptureQueriesContext(connection) as claiming:
        claimed = claim_all(plan)
    number = min(waiting, free)
    assert [claim.operation_id for claim in claimed] == [row.pk for row in rows[:number]]
    assert len({claim.endpoint.worker_id for claim in claimed}) == number
    assert Operation.objects.filter(status="DISPATCHING", attempt=1).count() == number
    assert Event.objects.filter(from_status="PENDING", to_status="DISPATCHING").count() == number
    assert set(Attempt.objects.values_list("operation_id", "worker_id")) == {
        (claim.operation_id, claim.endpoint.worker_id) for claim in claimed
    }
    assert len(claiming) <= 6 * (1 + number // claims.MAX_TOGETHER)


@pytest.mark.django_db
def test_operations_claimed_together_respect_the_limit_of_their_user() -> None:
    (user,) = users(1)
    Quota.objects.create(user=user, max_running=3)
    for _ in range(5):
        OperationFactory(created_by=user)
        WorkerFactory()
    assert len(claim_all(Planner().make_plan())) == 3
    assert claim_all(Planner().make_plan()) == []


@pytest.mark.django_db
@pytest.mark.parametrize("position", [0, 2, 4])
def test_an_operation_whose_claim_raises_harms_none_of_those_claimed_with_it(
    position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [OperationFactory() for _ in range(5)]
    for _ in rows:
        WorkerFactory()
    bad = rows[position]
    break_claims_of(bad, monkeypatch)
    claimed = claim_all(Planner().make_plan())
    assert {claim.operation_id for claim in claimed} == {row.pk for row in rows} - {bad.pk}
    bad.refresh_from_db()
    assert (bad.status, bad.setbacks) == ("PENDING", 1)
    assert Attempt.objects.filter(operation=bad).count() == 0


@pytest.mark.django_db
def test_a_requirement_that_no_worker_can_have_stops_no_round() -> None:
    """Rows of older code may contain anything."""
    for requirements in (
        {"memory_gb": 10**400},
        {"a__gte": {"x": [1]}},
        {"contains": None},
        {"0": "x" * 600},
    ):
        OperationFactory(requirements=requirements)
    good = OperationFactory()
    WorkerFactory()
    assert next_claimed() == good.pk
    assert Demand.objects.count() == 5
