"""Retries of transactions that the database ended because they conflicted with another one."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import ParamSpec, TypeVar

import structlog
from django.db import DatabaseError, connection, transaction

from access.backoff import full_jitter_s

log = structlog.get_logger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

MAX_TRIES = 8
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 0.5
CONFLICTS = frozenset({"40001", "40P01"})
"""SQLSTATE of a serialization failure and of a deadlock; the transaction succeeds when it is repeated."""


def is_conflict(error: BaseException) -> bool:
    """Return whether the transaction succeeds when it is repeated.

    The database chose it as the victim of a conflict, or a migration invalidated a prepared statement, which the
    rollback discards.
    """
    if not isinstance(error, DatabaseError):
        return False
    return getattr(error.__cause__, "sqlstate", None) in CONFLICTS or is_stale_plan(error)


def is_stale_plan(error: DatabaseError) -> bool:
    """Return whether the columns of a prepared statement have other types than when it was prepared."""
    diagnosis = getattr(error.__cause__, "diag", None)
    # The SQLSTATE is that of any unsupported feature, and the text depends on the server's language.
    return getattr(diagnosis, "source_function", None) == "RevalidateCachedQuery"


def atomic_with_retries(function: Callable[P, T]) -> Callable[P, T]:
    """Run `function` in a transaction, and repeat it after a deadlock or serialization failure, up to MAX_TRIES times.

    Inside an outer transaction it runs once in a savepoint: only the outer transaction can be repeated, because the
    locks that conflict belong to it. Raises the last conflict.
    """
    return _repeat(function, transaction.atomic)


def statement_with_retries(function: Callable[P, T]) -> Callable[P, T]:
    """Like `atomic_with_retries`, for a function that changes rows with one statement, which is a transaction itself."""
    return _repeat(function, nullcontext)


def _repeat(function: Callable[P, T], block: Callable[[], AbstractContextManager[object]]) -> Callable[P, T]:
    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        if connection.in_atomic_block:
            with transaction.atomic():
                return function(*args, **kwargs)
        for number in range(1, MAX_TRIES):
            try:
                with block():
                    return function(*args, **kwargs)
            except DatabaseError as error:
                if not is_conflict(error):
                    raise
                log.info("transaction conflict; retrying", function=function.__qualname__, tries=number)
            time.sleep(full_jitter_s(number, FIRST_PAUSE_S, LONGEST_PAUSE_S))
        with block():
            return function(*args, **kwargs)

    return run
