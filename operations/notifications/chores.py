"""What django-q2 runs every few seconds: sends what is due. Twice at once, late or cut short, it does no harm.

A claim moves `due_at` past a lease and counts a try, in one short transaction; the sending holds none. What a chore
that died has claimed is due again after the lease, with the same id. An outcome counts only while its try is the newest.
"""

import asyncio
import time
from datetime import timedelta
from typing import Any

from asgiref.sync import async_to_sync
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from operations.backoff import full_jitter_s
from operations.models import Delivery
from operations.notifications.sending import Sent, send

AT_ONCE = 20
NO_ROUND_AFTER_S = 3.0
LEASE = timedelta(seconds=60)
MAX_TRIES = 10
FIRST_PAUSE_S, LONGEST_PAUSE_S = 20.0, 3600.0
KEPT = timedelta(days=30)
"""How long the log of ended deliveries stays."""


def deliver() -> dict[str, int]:
    """Round after round while there is more and everything arrives; figures for the task's result.

    It ends with the first round in which something did not arrive: receivers that hang must not hold up the sweeps.
    """
    tried = arrived = 0
    until = time.monotonic() + NO_ROUND_AFTER_S
    while True:
        claimed = claim()
        outcomes = _send_all(claimed)
        for delivery, sent in zip(claimed, outcomes, strict=True):
            settle(delivery, sent)
        came = sum(not sent.problem for sent in outcomes)
        tried, arrived = tried + len(claimed), arrived + came
        if came < AT_ONCE or time.monotonic() > until:
            return {"tried": tried, "arrived": arrived}


@transaction.atomic
def claim() -> list[Delivery]:
    due = Delivery.objects.filter(
        state=Delivery.State.PENDING, due_at__lte=Now(), subscription__active=True
    ).order_by("due_at")
    chosen = list(
        due.select_for_update(of=("self",), skip_locked=True).values_list("pk", flat=True)[:AT_ONCE]
    )
    Delivery.objects.filter(pk__in=chosen).update(tries=F("tries") + 1, due_at=Now() + LEASE)
    return list(Delivery.objects.filter(pk__in=chosen).select_related("subscription"))


@async_to_sync
async def _send_all(claimed: list[Delivery]) -> list[Sent]:
    return await asyncio.gather(*(send(delivery) for delivery in claimed))


def settle(delivery: Delivery, sent: Sent) -> bool:
    """False where a newer try was begun meanwhile, or the subscription is gone: then that is what counts."""
    entry = {
        "at": timezone.now().isoformat(timespec="seconds"),
        "status": sent.status,
        "problem": sent.problem,
        "seconds": sent.seconds,
    }
    changes: dict[str, Any] = {"log": [*delivery.log, entry]}
    if not sent.problem:
        changes |= {"state": Delivery.State.DELIVERED, "ended_at": Now()}
    elif delivery.tries >= MAX_TRIES:
        changes |= {"state": Delivery.State.FAILED, "ended_at": Now()}
    else:
        pause_s = full_jitter_s(delivery.tries, FIRST_PAUSE_S, LONGEST_PAUSE_S)
        changes |= {"due_at": Now() + timedelta(seconds=pause_s)}
    current = Delivery.objects.filter(pk=delivery.pk, tries=delivery.tries, state=Delivery.State.PENDING)
    return current.update(**changes) == 1


def forget() -> int:
    """Removes what has ended long ago."""
    old = Delivery.objects.filter(ended_at__lt=Now() - KEPT)
    return old.delete()[0]
