"""Bounds of the database work of long-running processes: web, schedules with their chores, dispatcher.

Without bounds a frozen process keeps its locks, and everybody who needs them waits without end. Commands that may take
long on purpose (migrations, backups) are not bounded.
"""

import os

from django.conf import settings
from django.db import connection

SERVER_KEEPALIVES = {"tcp_keepalives_idle": 30, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}
"""The server ends the session of a client whose machine is gone, and its locks, after 30 + 3 * 10 s."""


def limit_statements() -> None:
    """Bound the statements of this process and of its children; call it before the first use of the database.

    The bounds are start parameters of each session, in libpq's variable PGOPTIONS, because a SET would be lost with
    the session. `options` in the database's URL replaces them.
    """
    limits = {
        "statement_timeout": _milliseconds(settings.STATEMENT_TIMEOUT_S),
        "lock_timeout": _milliseconds(settings.LOCK_TIMEOUT_S),
        "idle_in_transaction_session_timeout": _milliseconds(settings.IDLE_TRANSACTION_TIMEOUT_S),
        **SERVER_KEEPALIVES,
    }
    flags = [f"-c {name}={value}" for name, value in limits.items()]
    os.environ["PGOPTIONS"] = " ".join([*flags, os.environ.get("PGOPTIONS", "")]).strip()
    connection.close()  # a session from before would have no bounds


def _milliseconds(seconds: float) -> int:
    return max(1, round(1000 * seconds))
