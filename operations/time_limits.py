"""Time limits: how long an attempt may run, how long an operation may wait for its first start, and how an excess ends.

Each excess ends the operation as FAILED with the error class `timeout`; only a person retries it. All moments are the
database's. `dispatching.time_limits` finds what is due.
"""

from datetime import timedelta

from django.conf import settings
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from operations.requests import Submission
from worker_agent.protocol import ErrorClass, OperationError

ALL_TYPES = "*"
"""The key of the settings for every type without an entry of its own."""


def chosen_limit(submission: Submission) -> int | None:
    """Return the seconds that an attempt of the new operation may run: its own limit, else that of the settings for its type.

    Without either, the limit that its workers declare counts, else that for all types.
    """
    own = submission.queueing.timeout_s
    return own if own is not None else settings.TIMEOUT_S.get(submission.operation_type)


def usual_limit() -> int | None:
    """Return the limit of the settings for all types."""
    limit: int | None = settings.TIMEOUT_S.get(ALL_TYPES)
    return limit


def limit_of_wait(submission: Submission) -> int | None:
    """Return the seconds that the new operation may wait: its own limit, or that of the settings."""
    own = submission.queueing.expires_after_s
    by_type: dict[str, int] = settings.EXPIRES_AFTER_S
    return own if own is not None else by_type.get(submission.operation_type, by_type.get(ALL_TYPES))


def moment_in(limit_s: int | None) -> Combinable | None:
    """Return the moment `limit_s` seconds from now; None without a limit."""
    return None if limit_s is None else Now() + timedelta(seconds=limit_s)


def ran_too_long(timeout_s: int) -> str:
    return f"The attempt ran longer than its time limit of {timeout_s} s."


def silent_too_long(limit_s: float) -> str:
    return f"The job reported no progress, metric or log line for {limit_s:.0f} s."


def waited_too_long(expires_after_s: int) -> str:
    return f"The operation was not started within {expires_after_s} s."


def error(reason: str) -> OperationError:
    return OperationError(error_class=ErrorClass.TIMEOUT, message=reason)
