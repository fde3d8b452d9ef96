"""Retries of transactions that the database ended because they conflicted with another one."""

import time
from collections.abc import Callable
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
    """Return whether the database chose this transaction as the victim of a conflict."""
    return isinstance(error, DatabaseError) and getattr(error.__cause__, "sqlstate", None) in CONFLICTS


def atomic_with_retries(function: Callable[P, T]) -> Callable[P, T]:
    """Run `function` in a transaction, and repeat it after a deadlock or serialization failure, up to MAX_TRIES times.

    Inside an outer transaction it runs once in a savepoint: only the outer transaction can be repeated, because the
    locks that conflict belong to it. Raises the last conflict.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        tries = 1 if connection.in_atomic_block else MAX_TRIES
        for number in range(1, tries):
            try:
                with transaction.atomic():
                    return function(*args, **kwargs)
            except DatabaseError as error:
                if not is_conflict(error):
                    raise
                log.info("transaction conflict; retrying", function=function.__qualname__, tries=number)
            time.sleep(full_jitter_s(number, FIRST_PAUSE_S, LONGEST_PAUSE_S))
        with transaction.atomic():
            return function(*args, **kwargs)

    return run
