from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from operations.models.operation import Operation


class AttemptOutcome(models.TextChoices):
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    REJECTED = "rejected"
    """The worker never took it: busy, or connection refused."""
    LOST = "lost"


class Attempt(models.Model):
    """One try of an operation on one worker. While active it occupies the worker (one per worker, one per operation)."""

    operation = models.ForeignKey(
        Operation, on_delete=models.CASCADE, related_name="attempts", db_index=False
    )
    number = models.PositiveIntegerField()
    worker_id = models.CharField(max_length=128, help_text="kept after the worker is removed")
    instance_id = models.CharField(max_length=128)
    endpoint_url = models.CharField(max_length=500)
    claimed_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True, help_text="time at which the worker accepted it")
    ended_at = models.DateTimeField(null=True, blank=True)
    pushed_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="time at which the start was first sent; the worker cannot have it before",
    )
    must_prove = models.BooleanField(
        default=False,
        db_default=False,
        help_text="whether the worker got a secret with the start, which it must repeat in its reports",
    )
    contact_after = models.DateTimeField(
        null=True,
        blank=True,
        help_text="time of the next call to the worker; empty if none is due",
    )
    deadline = models.DateTimeField(
        null=True, blank=True, help_text="end of its time limit; empty if it has none or is being stopped"
    )
    silent_since = models.DateTimeField(
        null=True, blank=True, help_text="stalled: its job has reported nothing since; empty while it reports"
    )
    stop_reason = models.CharField(
        max_length=500,
        blank=True,
        db_default="",
        help_text="exceeded time limit for which it is being stopped",
    )
    outcome = models.CharField(max_length=16, choices=AttemptOutcome.choices, blank=True)
    error = models.TextField(blank=True)
    resumed_from_step = models.PositiveBigIntegerField(null=True, blank=True)
    report_sha256 = models.CharField(
        max_length=64,
        blank=True,
        help_text="hash of the accepted report; a repeated report gets the same response",
    )
    metrics_cursor = models.PositiveBigIntegerField(default=0, help_text="highest metric seq stored")
    logs_cursor = models.PositiveBigIntegerField(default=0, help_text="highest log seq stored")

    class Meta:
        ordering = ["operation", "number"]
        constraints = [
            models.UniqueConstraint(fields=["operation", "number"], name="attempt_number_once"),
            models.UniqueConstraint(
                fields=["operation"],
                condition=Q(ended_at__isnull=True),
                name="attempt_one_active_per_operation",
            ),
            models.UniqueConstraint(
                fields=["worker_id"], condition=Q(ended_at__isnull=True), name="attempt_one_active_per_worker"
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True, outcome="") | (Q(ended_at__isnull=False) & ~Q(outcome="")),
                name="attempt_end_has_an_outcome",
            ),
        ]
        indexes = [
            models.Index(fields=["worker_id", "-claimed_at"], name="attempt_by_worker"),
            models.Index(fields=["claimed_at"], name="attempt_claimed"),
            models.Index(
                fields=["deadline"],
                name="attempt_deadline",
                condition=Q(ended_at__isnull=True, deadline__isnull=False),
            ),
            models.Index(
                fields=["silent_since"],
                name="attempt_stalled",
                condition=Q(ended_at__isnull=True, silent_since__isnull=False),
            ),
            # For the statistics: attempts that started or ended since they were last read.
            models.Index(fields=["started_at"], name="attempt_begun", condition=Q(started_at__isnull=False)),
            models.Index(fields=["ended_at"], name="attempt_ended", condition=Q(ended_at__isnull=False)),
            # For the choice of a worker, whose history may be long.
            models.Index(
                fields=["worker_id", "ended_at"],
                name="attempt_of_bad_worker",
                condition=Q(outcome__in=["lost", "rejected"]),
            ),
            models.Index(
                fields=["contact_after"], name="attempt_to_contact", condition=Q(contact_after__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.operation_id}"


class Checkpoint(models.Model):
    """State from which an operation can resume; its files are the `Artifact` rows that refer to it."""

    operation = models.ForeignKey(
        Operation, on_delete=models.CASCADE, related_name="checkpoints", db_index=False
    )
    attempt = models.PositiveIntegerField()
    step = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["operation", "attempt", "step"]
        constraints = [
            models.UniqueConstraint(
                fields=["operation", "attempt", "step"], name="checkpoint_step_once_per_attempt"
            )
        ]

    def __str__(self) -> str:
        return f"checkpoint at step {self.step} of {self.operation_id}"
