"""A queue of waiting backtests of many users, and a history of earlier ones, as rows."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

OPERATION_TYPE = "backtesting"
USERS = 50
CHUNK = 5_000
NOW = datetime.now(UTC)


def parameters(number: int) -> dict[str, Any]:
    """Settings that no other number has, on one of ten symbols."""
    return {"symbol": f"SYM{number % 10}", "timeframe": "1d", "seed": number}


def add_waiting(number: int, demands: int, first: int = 0, users: int = USERS) -> None:
    """Add operations of `users` users that require 1 to `demands` GB."""
    from django.contrib.auth.models import User

    from operations.dispatching import admission
    from operations.models import Operation
    from registry import dispatch_channel

    User.objects.bulk_create((User(username=f"user-{one}") for one in range(users)), ignore_conflicts=True)
    owners = list(User.objects.filter(username__startswith="user-").order_by("pk")[:users])
    rows = (
        Operation(
            operation_type=OPERATION_TYPE,
            parameters=parameters(one),
            requirements={"memory_gb": one % demands + 1},
            created_by=owners[one % users],
            created_at=NOW - timedelta(seconds=60) + timedelta(microseconds=one),
            blockers=0,
        )
        for one in range(first, first + number)
    )
    while chunk := list(islice(rows, CHUNK)):
        stored = Operation.objects.bulk_create(chunk)
        admission.store_demands([row.pk for row in stored])
    dispatch_channel.notify_dispatchers()


def add_newcomer(number: int) -> str:
    """Add the only operation of a new user; return its id.

    The next operation of the same user would wait for its turn among all the users.
    """
    from django.contrib.auth.models import User

    from operations.insertion import Submitter
    from operations.requests import Queueing, Submission
    from operations.submission import submit

    user, _ = User.objects.get_or_create(username=f"newcomer-{number}")
    submission = Submission(OPERATION_TYPE, parameters(-number - 1), Queueing())
    return submit(submission, Submitter(user)).pk


def add_history(number: int) -> None:
    """Add completed backtests of one symbol, each of which was a trial."""
    from django.db import connection

    from operations.models import Operation

    begun = NOW - timedelta(days=30)
    rows = (
        Operation(
            operation_type=OPERATION_TYPE,
            parameters={**parameters(10 * one), "trials": one + 1},
            status="COMPLETED",
            attempt=1,
            created_at=begun,
            started_at=begun,
            completed_at=begun + timedelta(seconds=one),
            result={},
            blockers=0,
        )
        for one in range(number)
    )
    while chunk := list(islice(rows, CHUNK)):
        Operation.objects.bulk_create(chunk)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
