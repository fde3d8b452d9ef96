"""Brings one transaction between two steps of another: it commits when the other one waits for it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection, connections, transaction

from tests.waiting import until

T = TypeVar("T")
_IS_WAITED_FOR = (
    "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
)


def act_before_commit_of(change: Callable[[], object], act: Callable[[], T]) -> T:
    """Start `act` while a transaction that has made `change` is open; commit it when `act` waits for its locks, or has ended.

    `act` has a thread and a connection of its own. Needs `django_db(transaction=True)`.
    """

    def run() -> T:
        try:
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            change()
            future = pool.submit(run)
            until(lambda: future.done() or _is_waited_for(), "the other transaction waits for this one")
        return future.result(30)


def _is_waited_for() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_IS_WAITED_FOR)
        return bool(cursor.fetchone()[0])
