"""Isolation of a unit of work: one operation, worker, delivery or file that fails must not stop the others.

A loop over units runs each one inside `isolated`. Only the loss of the database itself ends the loop, because it
concerns all units and the caller retries the whole round.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class UnitResult:
    """How a unit of work ended; valid after its `with` block."""

    error: Exception | None = None
    """The unexpected exception, already logged; the changes of the unit are rolled back."""


@contextmanager
def isolated(unit: str, **log_fields: Any) -> Iterator[UnitResult]:
    """Run the block in its own savepoint; log and keep an unexpected exception instead of raising it.

    Outside a transaction the block is a transaction. `unit` names the work in the log ("health of a worker"). Raises
    OperationalError or InterfaceError if the database connection is lost.
    """
    result = UnitResult()
    session = None
    try:
        with transaction.atomic():
            session = connection.connection
            yield result
    except Exception as error:
        if isinstance(error, OperationalError | InterfaceError) and not _is_same_session(session):
            raise
        result.error = error
        log.exception("unit of work failed; continuing with the others", unit=unit, **log_fields)


def _is_same_session(session: Any) -> bool:
    """Return whether `session` still works. Django may already have replaced it by a new one after a rollback failed."""
    return session is not None and session is connection.connection and connection.is_usable()
