"""Sends due deliveries. django-q2 runs it every few seconds; running twice at once, late or partly is harmless.

A claim postpones `due_at` by a lease and counts a try, in one short transaction; no transaction is open while sending.
Deliveries claimed by a task that died are due again after the lease, with the same id. An outcome counts only while its
try is the newest.
"""

import asyncio
import time
from datetime import timedelta
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from access.backoff import full_jitter_s
from access.isolation import isolated
from operations.models import Delivery
from operations.notifications.sending import Outcome, send

log = structlog.get_logger(__name__)

BATCH = 20
LAST_ROUND_AFTER_S = 3.0
LEASE = timedelta(seconds=60)
MAX_TRIES = 10
FIRST_PAUSE_S, LONGEST_PAUSE_S = 20.0, 3600.0
RETENTION = timedelta(days=30)
"""How long ended deliveries are kept."""


def deliver_due() -> dict[str, int]:
    """Send rounds of due deliveries while there are more and all of them arrive; return counts for the task's result.

    Stop after the first round with a failure: receivers that hang must not delay the sweeps.
    """
    tried = arrived = 0
    until = time.monotonic() + LAST_ROUND_AFTER_S
    while True:
        claimed = claim()
        outcomes = _send_all(claimed)
        for delivery, outcome in zip(claimed, outcomes, strict=True):
            # If it cannot be recorded, the lease ends and the try counts.
            with isolated("recording a delivery", delivery_id=delivery.pk):
                record_outcome(delivery, outcome)
        successes = sum(not outcome.problem for outcome in outcomes)
        tried, arrived = tried + len(claimed), arrived + successes
        if successes < BATCH or time.monotonic() > until:
            return {"tried": tried, "arrived": arrived}


@transaction.atomic
def claim() -> list[Delivery]:
    """Lease a batch of due deliveries to this task."""
    due = Delivery.objects.filter(
        state=Delivery.State.PENDING, due_at__lte=Now(), subscription__active=True
    ).order_by("due_at")
    # Tries that ended without an outcome: their tasks died, or the outcome could not be recorded.
    due.filter(tries__gte=MAX_TRIES).update(state=Delivery.State.FAILED, ended_at=Now())
    ids = list(due.select_for_update(of=("self",), skip_locked=True).values_list("pk", flat=True)[:BATCH])
    Delivery.objects.filter(pk__in=ids).update(tries=F("tries") + 1, due_at=Now() + LEASE)
    return list(Delivery.objects.filter(pk__in=ids).select_related("subscription"))


@async_to_sync
async def _send_all(claimed: list[Delivery]) -> list[Outcome]:
    return await asyncio.gather(*(_send_isolated(delivery) for delivery in claimed))


async def _send_isolated(delivery: Delivery) -> Outcome:
    """Send one delivery; an unexpected exception is its outcome and not that of the others."""
    try:
        return await send(delivery)
    except Exception as error:
        log.exception("sending a delivery failed unexpectedly", delivery_id=str(delivery.pk))
        return Outcome(0.0, problem=f"the try raised {type(error).__name__}; the log contains the traceback")


def record_outcome(delivery: Delivery, outcome: Outcome) -> bool:
    """Store the outcome. Return False if a newer try has started meanwhile, or the subscription is gone."""
    entry = {
        "at": timezone.now().isoformat(timespec="seconds"),
        "status": outcome.status,
        "problem": outcome.problem,
        "seconds": outcome.seconds,
    }
    changes: dict[str, Any] = {"log": [*delivery.log, entry]}
    if not outcome.problem:
        changes |= {"state": Delivery.State.DELIVERED, "ended_at": Now()}
    elif delivery.tries >= MAX_TRIES:
        changes |= {"state": Delivery.State.FAILED, "ended_at": Now()}
    else:
        pause_s = full_jitter_s(delivery.tries, FIRST_PAUSE_S, LONGEST_PAUSE_S)
        changes |= {"due_at": Now() + timedelta(seconds=pause_s)}
    current = Delivery.objects.filter(pk=delivery.pk, tries=delivery.tries, state=Delivery.State.PENDING)
    return current.update(**changes) == 1


def delete_old() -> int:
    """Delete deliveries that ended before the retention time; return how many."""
    return old_deliveries().delete()[0]


def old_deliveries() -> QuerySet[Delivery]:
    return Delivery.objects.filter(ended_at__lt=Now() - RETENTION)
