"""Repairs timestamps of operations that lie in the future because the database's clock was set back."""

from datetime import timedelta

from django.db.models.functions import Now

from operations.interruptions import MAX_BACKOFF_S
from operations.models import Attempt, Operation
from operations.schedules.running import repair_due_times
from operations.states import ACTIVE, Status

MAX_AHEAD = timedelta(seconds=2 * MAX_BACKOFF_S)
"""No pause is longer than half of this."""


def repair_timestamps() -> int:
    """Make due what is planned for later than any pause lasts, and move what has happened out of the future."""
    ahead = Now() + MAX_AHEAD
    return sum(
        (
            Operation.objects.filter(status=Status.PENDING, not_before__gt=ahead).update(not_before=Now()),
            Operation.objects.filter(status__in=ACTIVE, progress_asked_at__gt=Now()).update(
                progress_asked_at=None
            ),
            Attempt.objects.filter(contact_after__gt=ahead).update(contact_after=Now()),
            Attempt.objects.filter(ended_at__gt=Now()).update(ended_at=Now()),
            repair_due_times(),
        )
    )
