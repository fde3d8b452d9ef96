"""Sets aside an operation whose handling in the backend raised an unexpected exception, so that it delays no other one.

Each setback postpones the operation longer; after MAX_SETBACKS it fails. A setback is a defect of the backend or of a
row, never a failure of the job or a loss of the worker, so attempts are not used up.
"""

import random
from datetime import timedelta

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now

from access.isolation import is_database_trouble, isolated
from operations import attempts, interruptions, lifecycle
from operations.actors import SYSTEM
from operations.inputs import InputMissing
from operations.models import Attempt, Operation
from operations.models.attempt import AttemptOutcome
from operations.states import ACTIVE, Status
from worker_agent.protocol import ErrorClass, OperationError
from worker_agent.values import escape

MAX_SETBACKS = 5
GROWTH = 3
SHOWN_ERROR = 80


def set_aside(operation_id: str, error: Exception) -> None:
    """Postpone an operation whose handling raised `error`, or fail it after MAX_SETBACKS, or at once without its input.

    Call it after the transaction or savepoint that raised has been rolled back. If the setback cannot be recorded, the
    operation is only postponed. A database failure does not count as a setback. Raises OperationalError or InterfaceError.
    """
    if is_database_trouble(error):
        return
    with isolated("setting an operation aside", operation_id=operation_id) as unit:
        _record_setback(operation_id, error)
    if unit.error is not None:
        with isolated("postponing an operation", operation_id=operation_id):
            setbacks = Operation.objects.values_list("setbacks", flat=True).get(pk=operation_id)
            _postpone(operation_id, min(setbacks + 1, MAX_SETBACKS), "paused after an unexpected error")


def describe(error: BaseException) -> str:
    """Return the type and the shortened text of an exception; its `__str__` may raise."""
    try:
        text = str(error)
    except Exception:
        text = "its text cannot be read"
    text = escape(text)
    shown = text if len(text) <= SHOWN_ERROR else f"{text[:SHOWN_ERROR]}..."
    return f"{type(error).__name__}: {shown}"


def _record_setback(operation_id: str, error: Exception) -> None:
    operation = lifecycle.lock(operation_id)
    if operation.is_final:
        return
    if isinstance(error, InputMissing):  # no later try finds it
        invalid = OperationError(error_class=ErrorClass.INVALID, message=str(error))
        lifecycle.fail(operation, invalid, SYSTEM)
        return
    problem = describe(error)
    number = operation.setbacks + 1
    if number >= MAX_SETBACKS:
        _fail(operation, problem)
        return
    reason = f"paused after an unexpected error in the backend ({number} of {MAX_SETBACKS}): {problem}"
    _postpone(operation_id, number, reason)
    lifecycle.record(operation, "set_aside", SYSTEM, reason, attempt=operation.attempt or None)


def _postpone(operation_id: str, number: int, reason: str) -> None:
    """Move the next handling of the operation `pause` into the future, whichever step it is at."""
    moment = Now() + pause(number)
    rows = Operation.objects.filter(pk=operation_id)
    rows.update(setbacks=F("setbacks") + 1)
    rows.filter(status=Status.PENDING).update(not_before=moment, waiting_reason=reason)
    Attempt.objects.filter(
        operation=operation_id, ended_at__isnull=True, operation__status__in=ACTIVE
    ).update(contact_after=moment)


def pause(number: int) -> timedelta:
    """Return the pause after setback `number`: three times as long as the one before, shortened by up to half at random."""
    longest_s = min(settings.RETRY_BACKOFF_S * GROWTH ** (number - 1), interruptions.MAX_BACKOFF_S)
    return timedelta(seconds=random.uniform(longest_s / 2, longest_s))  # noqa: S311  (not a secret)


def _fail(operation: Operation, problem: str) -> None:
    """Fail the locked operation and free its worker; a cancellation wins."""
    message = (
        f"The backend could not handle the operation {MAX_SETBACKS} times; the last error was {problem}. "
        "Its log contains the traceback; retry the operation after the cause is fixed."
    )
    attempt = attempts.current(operation, operation.attempt)
    if attempt is not None:
        attempts.end(attempt, AttemptOutcome.INTERRUPTED, message)
    if operation.status == Status.CANCELLING:
        lifecycle.move(operation, Status.CANCELLED, SYSTEM, f"cancelled; {message}", setbacks=MAX_SETBACKS)
        return
    error = OperationError(error_class=ErrorClass.LOST, message=message)
    lifecycle.fail(operation, error, SYSTEM, message, setbacks=MAX_SETBACKS)
