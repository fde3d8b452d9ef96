"""Schedules of users: a submission that is repeated at the times of a cron expression, and a log of its due times."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from operations.models.operation import Operation, new_operation_id

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class Schedule(models.Model):
    """A submission that repeats. Only `operations.schedules` writes it."""

    class CatchUp(models.TextChoices):
        ONCE = "once", "submit once"
        SKIP = "skip", "skip"

    class Overlap(models.TextChoices):
        SKIP = "skip", "skip"
        QUEUE = "queue", "wait for it"

    schedule_id = models.CharField(max_length=128, unique=True, default=new_operation_id, editable=False)
    name = models.CharField(max_length=100)
    cron = models.CharField(max_length=200, help_text="minute, hour, day of month, month, day of week")
    time_zone = models.CharField(max_length=64, help_text="IANA name")
    catch_up = models.CharField(
        max_length=8, choices=CatchUp.choices, help_text="if due times passed while the backend was down"
    )
    overlap = models.CharField(
        max_length=8, choices=Overlap.choices, help_text="if the last operation has not ended"
    )
    submission = models.JSONField(help_text="body of a submission, as an item of POST /operations/batch")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by: "models.ForeignKey[User]" = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", help_text="submits it"
    )
    next_run_at = models.DateTimeField(
        help_text="next due time; in the past until its operation is submitted"
    )
    not_before = models.DateTimeField(null=True, blank=True, help_text="pause after a failed submission")
    waits_for_last = models.BooleanField(
        default=False, help_text="it is due, and its last operation has not ended"
    )
    failures = models.PositiveSmallIntegerField(default=0, help_text="failed submissions in a row")
    problem = models.TextField(blank=True, help_text="why the last submission failed; empty if it did not")
    paused_at = models.DateTimeField(null=True, blank=True)
    pause_reason = models.CharField(max_length=1000, blank=True)
    last_operation = models.ForeignKey(
        Operation, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    idempotency_key = models.CharField(max_length=255, blank=True)
    request_sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["created_by", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="schedule_idempotency_key_once_per_user",
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="schedule_newest"),
            models.Index(fields=["next_run_at"], name="schedule_due", condition=Q(paused_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.name


class ScheduleRun(models.Model):
    """The outcome of a due time. Append-only; a due time has at most one operation."""

    class Outcome(models.TextChoices):
        SUBMITTED = "submitted", "submitted"
        SKIPPED = "skipped", "skipped"
        FAILED = "failed", "failed"

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="runs", db_index=False)
    due_at = models.DateTimeField()
    at = models.DateTimeField(db_default=Now())
    outcome = models.CharField(max_length=16, choices=Outcome.choices)
    operation = models.ForeignKey(
        Operation, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    detail = models.TextField(blank=True, help_text="why it was skipped or failed")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["schedule", "due_at"], condition=Q(outcome="submitted"), name="schedule_due_time_once"
            ),
        ]
        indexes = [models.Index(fields=["schedule", "-id"], name="schedule_run_newest")]

    def __str__(self) -> str:
        return f"{self.schedule_id} at {self.due_at:%Y-%m-%d %H:%M}"
