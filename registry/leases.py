"""Leases: one row per duty, held by the process that renews it. A frozen or dead holder is replaced when its lease ends.

A lock of a session would not do: the session of a frozen process lives on, and so does its lock.
"""

import os
import secrets
import socket

import structlog
from django.db import DatabaseError, connection

from registry.models import Lease

log = structlog.get_logger(__name__)

_ACQUIRE = """
    INSERT INTO registry_lease AS lease (name, holder, renewed_at) VALUES (%s, %s, clock_timestamp())
    ON CONFLICT (name) DO UPDATE SET holder = EXCLUDED.holder, renewed_at = EXCLUDED.renewed_at
    WHERE lease.holder = EXCLUDED.holder
       -- Ended; or renewed in the future, before the database's clock was set back.
       OR abs(extract(epoch FROM EXCLUDED.renewed_at - lease.renewed_at)) > %s
"""


def new_holder() -> str:
    """Return a name for this process as a holder, unique across machines and restarts."""
    return f"{socket.gethostname()[:80]}:{os.getpid()}:{secrets.token_hex(4)}"


def acquire(name: str, holder: str, lasts_s: float) -> bool:
    """Take or renew the lease for `lasts_s`; return whether `holder` has it now."""
    with connection.cursor() as cursor:
        cursor.execute(_ACQUIRE, [name, holder, lasts_s])
        return bool(cursor.rowcount == 1)


def release(name: str, holder: str) -> None:
    """Give the lease back, so that the next holder need not wait for its expiry. A failure is only logged."""
    try:
        Lease.objects.filter(name=name, holder=holder).delete()
    except DatabaseError as error:
        log.info(
            "could not release the lease before its expiry", lease=name, reason=" ".join(str(error).split())
        )
