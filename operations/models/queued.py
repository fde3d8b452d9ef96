from django.db import models
from django.db.models import F, Func
from django.db.models.functions import MD5, Cast, Concat

AGING_S = 600
"""A waiting operation gains a point of priority in this time, so that one of low priority is reached eventually."""


class Queued(models.Model):
    """The place of an operation in the queue: when it may start, on which workers, and in which order."""

    requirements = models.JSONField(default=dict, blank=True, help_text="minimum capabilities of a worker")
    prefer_gpu = models.BooleanField(default=False)
    priority = models.IntegerField(default=0)
    after = models.ManyToManyField("self", symmetrical=False, related_name="followers", blank=True)
    queue = models.BooleanField(default=True, help_text="if false, fail instead of waiting for a worker")
    not_before = models.DateTimeField(
        null=True, blank=True, help_text="backoff: not claimed before this time"
    )
    expires_after_s = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="seconds from submission or retry to the first start; empty: no limit",
    )
    expires_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="when it fails unless it has started; empty once it has",
    )
    blockers = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="operations in `after` that have not completed; empty: not counted yet",
    )
    waiting_reason = models.CharField(
        max_length=500,
        blank=True,
        help_text="why it is paused; why no worker takes it is stored with its demand",
    )

    demand = models.GeneratedField(
        expression=MD5(
            Concat(
                Cast("operation_type", models.TextField()),
                Cast("requirements", models.TextField()),
                Cast("prefer_gpu", models.TextField()),
            )
        ),
        output_field=models.CharField(max_length=32),
        db_persist=True,
        help_text="digest that identifies the row of `Demand`",
    )
    rank = models.GeneratedField(
        # A difference of two times does not depend on the session's time zone, unlike the epoch of a time.
        expression=Func(
            F("created_at"),
            F("priority"),
            template=(
                "(EXTRACT(epoch FROM created_at - '1970-01-01 00:00:00+00'::timestamptz)::float8"
                f" - {AGING_S}.0 * priority)"
            ),
        ),
        output_field=models.FloatField(),
        db_persist=True,
        help_text="order in the queue, lowest first: creation time in seconds, minus AGING_S per point of priority",
    )

    class Meta:
        abstract = True
