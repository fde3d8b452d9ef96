"""One unit of work fails; the others go on, unless the database itself is gone."""

from contextlib import nullcontext

import psycopg
import pytest
from django import db
from django.contrib.auth.models import Group
from django.db import DataError, OperationalError, connection, transaction
from structlog.testing import capture_logs

from access.isolation import is_database_trouble, isolated


def work(names: list[str], bad: str) -> list[Exception | None]:
    results = []
    for name in names:
        with isolated("making a group", group=name) as unit:
            Group.objects.create(name=name)
            if name == bad:
                Group.objects.create(name=name)  # unique: the transaction is aborted until its savepoint
        results.append(unit.error)
    return results


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.django_db(transaction=True)
def test_a_failed_unit_is_rolled_back_and_logged_and_the_others_stay(nested: bool) -> None:
    with capture_logs() as logs:
        if nested:
            with transaction.atomic():
                errors = work(["a", "b", "c"], bad="b")
        else:
            errors = work(["a", "b", "c"], bad="b")
    assert [error is None for error in errors] == [True, False, True]
    assert sorted(Group.objects.filter(name__in="abc").values_list("name", flat=True)) == ["a", "c"]
    (entry,) = (line for line in logs if line["log_level"] == "error")
    assert (entry["unit"], entry["group"], entry["exc_info"]) == ("making a group", "b", True)


@pytest.mark.django_db
@pytest.mark.parametrize("error", [RecursionError, MemoryError, AssertionError, KeyError, DataError])
def test_any_exception_of_a_unit_stays_in_it(error: type[Exception]) -> None:
    with isolated("raising") as unit:
        raise error
    assert isinstance(unit.error, error)


@pytest.mark.django_db(transaction=True)
def test_a_unit_with_transactions_of_its_own_keeps_what_it_committed() -> None:
    with isolated("making groups", atomic=False) as unit:
        assert not connection.in_atomic_block
        Group.objects.create(name="kept")
        raise KeyError
    assert isinstance(unit.error, KeyError)
    assert Group.objects.filter(name="kept").exists()


@pytest.mark.parametrize(
    ("cause", "is_trouble"),
    [
        (psycopg.OperationalError("connection refused"), True),
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.DiskFull(), True),
        (psycopg.errors.TooManyConnections(), True),
        (psycopg.errors.ReadOnlySqlTransaction(), True),
        (psycopg.errors.IdleInTransactionSessionTimeout(), True),
        (psycopg.errors.QueryCanceled(), False),
        (psycopg.errors.LockNotAvailable(), False),
        (psycopg.errors.DeadlockDetected(), False),
        (psycopg.errors.OutOfMemory(), False),
    ],
)
def test_only_trouble_of_the_database_itself_concerns_all_units(cause: Exception, is_trouble: bool) -> None:
    kind = db.InternalError if isinstance(cause, psycopg.InternalError) else OperationalError
    error = kind("failed")
    error.__cause__ = cause
    assert is_database_trouble(error) is is_trouble


@pytest.mark.django_db
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_stop_of_the_process_is_not_kept(error: type[BaseException]) -> None:
    with pytest.raises(error), isolated("stopping"):
        raise error


@pytest.mark.django_db
def test_a_statement_that_takes_too_long_is_the_units_own_fault() -> None:
    with isolated("sleeping") as unit, connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 10")
        cursor.execute("SELECT pg_sleep(10)")
    assert isinstance(unit.error, OperationalError)
    assert isinstance(unit.error.__cause__, psycopg.errors.QueryCanceled)
    assert Group.objects.count() >= 0, "the connection still works"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("nested", [False, True])
def test_a_lost_connection_ends_the_round(nested: bool) -> None:
    outer = transaction.atomic() if nested else nullcontext()
    with pytest.raises(OperationalError), outer, isolated("losing"), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    connection.close()
