"""Isolation of a unit of work: one operation, worker, delivery or file that fails must not stop the others.

A loop over units runs each one inside `isolated`. Only trouble of the database itself ends the loop, because it
concerns all units and the caller retries the whole round.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, transaction

log = structlog.get_logger(__name__)

TROUBLE_CLASSES = ("08", "57P", "58")
"""SQLSTATE classes of a lost connection, a server that stops, and a failure of its system."""
TROUBLE = frozenset({"25006", "25P03", "53100", "53300", "53400"})
"""Read-only server, session ended while idle, full disk, too many connections, exhausted configuration limit."""


@dataclass(slots=True)
class UnitResult:
    """How a unit of work ended; valid after its `with` block."""

    error: Exception | None = None
    """The unexpected exception, already logged."""


@contextmanager
def isolated(unit: str, *, atomic: bool = True, **log_fields: Any) -> Iterator[UnitResult]:
    """Run the block in its own savepoint; log and keep an unexpected exception instead of raising it.

    Outside a transaction the block is a transaction. `atomic=False` is for a block that waits for something else than
    the database, or has transactions of its own; an exception does not roll it back. `unit` names the work in the log
    ("health of a worker"). Raises OperationalError or InterfaceError if the database is in trouble.
    """
    result = UnitResult()
    try:
        with transaction.atomic() if atomic else nullcontext():
            yield result
    except Exception as error:
        if is_database_trouble(error):
            raise
        result.error = error
        log.exception("unit of work failed; continuing with the others", unit=unit, **log_fields)


def is_database_trouble(error: BaseException) -> bool:
    """Return whether the database cannot work for anybody now, as opposed to one statement that failed."""
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, DatabaseError):
        return False
    sqlstate = getattr(error.__cause__, "sqlstate", None)
    if sqlstate is None:
        # psycopg knows no state of a connection that broke or was never made.
        return isinstance(error, OperationalError)
    return sqlstate in TROUBLE or sqlstate.startswith(TROUBLE_CLASSES)
