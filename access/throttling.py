"""Slows down guessing of passwords and tokens: failures fill a leaky bucket that all web processes share.

Only failures count, so callers with a valid secret are never slowed. Each attempt or failure is counted by a single
statement, so none is lost between processes.
"""

import math
from dataclasses import dataclass

from django.db import connection
from django.db.models import ExpressionWrapper, F, FloatField
from django.db.models.functions import Extract, Greatest, Now

from access.client_address import network_of
from access.models import Failures


@dataclass(frozen=True, slots=True)
class Limit:
    """Allows `burst` failures at once, then one per `pause_s`."""

    scope: str
    burst: int
    pause_s: float
    by_address: bool = False

    def key(self, subject: str) -> str:
        return f"{self.scope}:{network_of(subject) if self.by_address else subject}"[:250]


SIGN_IN_BY_ADDRESS = Limit("sign-in address", burst=20, pause_s=10, by_address=True)
SIGN_IN_BY_NAME = Limit("sign-in name", burst=10, pause_s=30)
SIGN_IN_BY_DEVICE = Limit("sign-in device", burst=10, pause_s=30)
PASSWORD_BY_USER = Limit("password user", burst=10, pause_s=30)
CODE_BY_USER = Limit("second factor user", burst=10, pause_s=120)
CODE_BY_DEVICE = Limit("second factor device", burst=10, pause_s=120)
"""Three of a million codes are valid at a time: a day of guessing succeeds with a probability of 0.2 %."""
TOKEN_BY_ADDRESS = Limit("token address", burst=30, pause_s=2, by_address=True)
ENROLMENT_BY_ADDRESS = Limit("enrolment address", burst=30, pause_s=2, by_address=True)
LIMITS = (
    SIGN_IN_BY_ADDRESS,
    SIGN_IN_BY_NAME,
    SIGN_IN_BY_DEVICE,
    PASSWORD_BY_USER,
    CODE_BY_USER,
    CODE_BY_DEVICE,
    TOKEN_BY_ADDRESS,
    ENROLMENT_BY_ADDRESS,
)
Bucket = tuple[Limit, str]


def take(buckets: list[Bucket]) -> int:
    """Count one attempt in every bucket, before the secret is checked; return the seconds to wait if one is full, else 0.

    Of parallel attempts only as many as the bucket has room for get a 0. A full bucket counts none of them.
    """
    for position, (limit, subject) in enumerate(buckets):
        if not _take_one(limit, subject):
            give_back(buckets[:position])
            return max(1, wait_s(limit, subject))
    return 0


def _take_one(limit: Limit, subject: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO registry_failures AS bucket (key, level, updated_at) VALUES (%(key)s, 1, clock_timestamp())
            ON CONFLICT (key) DO UPDATE SET
                level = 1 + greatest(0, bucket.level
                    - extract(epoch FROM clock_timestamp() - bucket.updated_at)::float8 / %(pause_s)s::float8),
                updated_at = clock_timestamp()
            WHERE bucket.level - extract(epoch FROM clock_timestamp() - bucket.updated_at)::float8 / %(pause_s)s::float8
                <= %(burst)s - 1
            """,
            {"key": limit.key(subject), "pause_s": limit.pause_s, "burst": limit.burst},
        )
        return bool(cursor.rowcount)


def give_back(buckets: list[Bucket]) -> None:
    """Take back one attempt in every bucket, after it has succeeded."""
    for limit, subject in buckets:
        Failures.objects.filter(pk=limit.key(subject)).update(level=Greatest(F("level") - 1.0, 0.0))


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
    longest = max(limit.pause_s for limit in LIMITS)
    age = Extract(Now() - F("updated_at"), "epoch")
    empty = ExpressionWrapper(F("level") - age / longest, output_field=FloatField())
    return Failures.objects.annotate(left=empty).filter(left__lt=0).delete()[0]
