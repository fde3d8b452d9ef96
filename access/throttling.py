"""Slows down guessing of passwords and tokens: failures fill a leaky bucket that all web processes share.

Only failures count, so callers with a valid secret are never slowed. Each failure is counted by a single statement,
so none is lost between processes.
"""

import math
from dataclasses import dataclass

from django.db import connection
from django.db.models import ExpressionWrapper, F, FloatField
from django.db.models.functions import Extract, Greatest, Now

from access.models import Failures


@dataclass(frozen=True, slots=True)
class Limit:
    """Allows `burst` failures at once, then one per `pause_s`."""

    scope: str
    burst: int
    pause_s: float

    def key(self, subject: str) -> str:
        return f"{self.scope}:{subject}"[:250]


SIGN_IN_BY_ADDRESS = Limit("sign-in address", burst=20, pause_s=10)
SIGN_IN_BY_NAME = Limit("sign-in name", burst=10, pause_s=30)
TOKEN_BY_ADDRESS = Limit("token address", burst=30, pause_s=2)
ENROLMENT_BY_ADDRESS = Limit("enrolment address", burst=30, pause_s=2)


def wait_s(limit: Limit, subject: str) -> int:
    """Return the whole seconds until the next attempt is allowed; 0 if it is allowed now."""
    leaked = Extract(Now() - F("updated_at"), "epoch") / limit.pause_s
    level = ExpressionWrapper(F("level") - leaked, output_field=FloatField())
    rows = Failures.objects.filter(pk=limit.key(subject)).values_list(Greatest(level, 0.0), flat=True)
    over = (rows.first() or 0.0) - (limit.burst - 1)
    return math.ceil(over * limit.pause_s) if over > 0 else 0


def record_failure(limit: Limit, subject: str) -> None:
    """Count one failed attempt."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO registry_failures AS bucket (key, level, updated_at) VALUES (%s, 1, now())
            ON CONFLICT (key) DO UPDATE SET
                level = 1 + greatest(0, bucket.level - extract(epoch FROM now() - bucket.updated_at)::float8 / %s::float8),
                updated_at = now()
            """,
            [limit.key(subject), limit.pause_s],
        )


def reset(limit: Limit, subject: str) -> None:
    """Clear the failures of a subject that has authenticated."""
    Failures.objects.filter(pk=limit.key(subject)).delete()


def delete_empty() -> int:
    """Delete the buckets that have drained; return how many."""
    longest = max(limit.pause_s for limit in (SIGN_IN_BY_ADDRESS, SIGN_IN_BY_NAME, TOKEN_BY_ADDRESS))
    age = Extract(Now() - F("updated_at"), "epoch")
    empty = ExpressionWrapper(F("level") - age / longest, output_field=FloatField())
    return Failures.objects.annotate(left=empty).filter(left__lt=0).delete()[0]
