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


def limit_of_attempts(submission: Submission, declared: int | None = None) -> int | None:
    """Return the seconds that an attempt of the new operation may run.

    Its own limit, else that of the settings for its type, else the one that its workers declare, else that for all types.
    """
    own = submission.queueing.timeout_s
    if own is None and submission.operation_type not in settings.TIMEOUT_S and declared is not None:
        return declared
    return _limit(own, settings.TIMEOUT_S, submission.operation_type)


def limit_of_wait(submission: Submission) -> int | None:
    """Return the seconds that the new operation may wait: its own limit, or that of the settings."""
    return _limit(submission.queueing.expires_after_s, settings.EXPIRES_AFTER_S, submission.operation_type)


def _limit(own: int | None, by_type: dict[str, int], operation_type: str) -> int | None:
    return own if own is not None else by_type.get(operation_type, by_type.get("*"))


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
