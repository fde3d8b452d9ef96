"""Prepared statements: what a migration invalidates is repeated, and idle sessions are judged without a statement."""

from collections.abc import Iterator

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import DataError, NotSupportedError, connection, transaction
from django.test.utils import CaptureQueriesContext

from access.conflicts import atomic_with_retries
from access.prepared import columns_of, fetch, fetch_one, instance
from operations.models import Operation
from operations.models.operation import LARGE
from tests.factories import OperationFactory

pytestmark = pytest.mark.django_db(transaction=True)
READ = "SELECT * FROM changing WHERE id = %(id)s"


def execute_elsewhere(statement: bytes) -> None:
    """Execute it in another session, as a migration does: psycopg notices the changes of its own session."""
    skipped = ("cursor_factory", "context", "prepare_threshold")
    parameters = {k: v for k, v in connection.get_connection_params().items() if k not in skipped}
    with psycopg.connect(**parameters, autocommit=True) as session:
        session.execute(statement)


@pytest.fixture
def changing() -> Iterator[None]:
    """A table from which a prepared statement of this session reads."""
    execute_elsewhere(
        b"CREATE TABLE changing (id int, text varchar(10)); INSERT INTO changing VALUES (1, 'a')"
    )
    try:
        for _ in range(4):
            assert fetch(READ, {"id": 1}) == [(1, "a")]
        yield
    finally:
        connection.close()
        execute_elsewhere(b"DROP TABLE changing")


def prepared_statements() -> int:
    """Return how many statements the session has prepared."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        (number,) = cursor.fetchone() or (0,)
    return int(number)


def test_a_statement_is_prepared_once_it_was_executed_a_few_times() -> None:
    connection.close()
    for _ in range(5):
        assert fetch("SELECT %(number)s::int + 1", {"number": 1}) == [(2,)]
    assert prepared_statements() == 1


def test_without_prepared_statements_none_is_prepared() -> None:
    connection.close()
    connection.ensure_connection()
    connection.connection.prepare_threshold = None
    for _ in range(5):
        assert fetch("SELECT %(number)s::int + 1", {"number": 1}) == [(2,)]
    assert prepared_statements() == 0
    connection.close()


def test_a_statement_that_a_migration_invalidated_is_repeated(changing: None) -> None:
    execute_elsewhere(b"ALTER TABLE changing ALTER text TYPE text, ADD number int")
    assert fetch(READ, {"id": 1}) == [(1, "a", None)]


def test_a_transaction_with_a_statement_that_a_migration_invalidated_is_repeated(changing: None) -> None:
    execute_elsewhere(b"ALTER TABLE changing ALTER text TYPE text, ADD number int")
    tries = []

    @atomic_with_retries
    def read() -> list[tuple[object, ...]]:
        tries.append(1)
        return fetch(READ, {"id": 1})

    assert read() == [(1, "a", None)]
    assert len(tries) == 2


def test_inside_a_transaction_of_the_caller_the_fault_is_reported(changing: None) -> None:
    execute_elsewhere(b"ALTER TABLE changing ALTER text TYPE text")
    with pytest.raises(NotSupportedError), transaction.atomic():
        fetch(READ, {"id": 1})
    assert fetch(READ, {"id": 1}) == [(1, "a")]


def test_a_row_becomes_the_object_that_a_queryset_returns() -> None:
    expected = Operation.objects.get(pk=OperationFactory(parameters={"a": [1]}, requirements={"cores": 2}).pk)
    statement = (
        f"SELECT {columns_of(Operation, 'o', without=LARGE)} FROM operations_operation AS o"  # constants
    )
    row = fetch_one(statement, {})
    assert row is not None
    operation = instance(Operation, row, without=LARGE)
    assert operation.get_deferred_fields() == LARGE
    names = [field.attname for field in Operation._meta.concrete_fields]
    assert [getattr(operation, name) for name in names] == [getattr(expected, name) for name in names]


def test_an_error_of_the_database_is_one_of_djangos() -> None:
    with pytest.raises(DataError):
        fetch("SELECT 1 / %(zero)s::int", {"zero": 0})


def test_an_idle_session_that_the_server_ended_is_replaced_without_asking_it() -> None:
    connection.close()
    User.objects.exists()
    connection.health_check_enabled, connection.health_check_done = True, False
    with CaptureQueriesContext(connection) as queries:
        User.objects.exists()
    assert len(queries) == 1, "the check of the session is not a statement"
    number = connection.connection.info.backend_pid
    execute_elsewhere(f"SELECT pg_terminate_backend({number}, 5000)".encode())
    connection.health_check_done = False
    User.objects.exists()
    assert connection.connection.info.backend_pid != number
