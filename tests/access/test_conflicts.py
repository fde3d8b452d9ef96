"""Deadlocks on a real PostgreSQL, and the bound of the retries."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, OperationalError, connection, connections, transaction

from access import conflicts
from access.conflicts import atomic_with_retries

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_transactions_that_lock_in_opposite_order_both_succeed() -> None:
    first, second = (Group.objects.create(name=name) for name in "ab")
    barrier = threading.Barrier(2)
    tries: list[str] = []

    @atomic_with_retries
    def touch(name: str, order: tuple[Group, Group]) -> None:
        tries.append(name)
        Group.objects.select_for_update().get(pk=order[0].pk)
        if len(tries) <= 2:
            barrier.wait(10)
        Group.objects.select_for_update().get(pk=order[1].pk)

    def run(name: str, order: tuple[Group, Group]) -> None:
        try:
            touch(name, order)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(run, "x", (first, second)), pool.submit(run, "y", (second, first))]
        for future in futures:
            future.result(30)
    assert sorted(tries[:2]) == ["x", "y"]
    assert len(tries) == 3, "one was the victim and ran again"


def make_conflict() -> OperationalError:
    error = OperationalError("could not serialize access")
    error.__cause__ = psycopg.errors.SerializationFailure()
    return error


def test_the_retries_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conflicts, "LONGEST_PAUSE_S", 0.0)
    calls: list[bool] = []

    @atomic_with_retries
    def conflict() -> None:
        calls.append(connection.in_atomic_block)
        raise make_conflict()

    with pytest.raises(OperationalError, match="serialize"):
        conflict()
    assert calls == [True] * conflicts.MAX_TRIES


def test_a_retry_keeps_nothing_of_the_try_before() -> None:
    names = iter(["first", "second"])

    @atomic_with_retries
    def create() -> str:
        group = Group.objects.create(name=next(names))
        if group.name == "first":
            raise make_conflict()
        return group.name

    assert create() == "second"
    assert set(Group.objects.filter(name__in=["first", "second"]).values_list("name", flat=True)) == {
        "second"
    }


@pytest.mark.parametrize("error", [IntegrityError("duplicate"), OperationalError("gone"), ValueError("no")])
def test_other_errors_are_raised_at_once(error: Exception) -> None:
    calls: list[int] = []

    @atomic_with_retries
    def fail() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        fail()
    assert calls == [1]


def test_inside_a_transaction_the_conflict_is_the_outer_ones() -> None:
    calls: list[int] = []

    @atomic_with_retries
    def conflict() -> None:
        calls.append(1)
        raise make_conflict()

    with pytest.raises(OperationalError), transaction.atomic():
        conflict()
    assert calls == [1]
