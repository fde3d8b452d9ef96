import base64
import secrets
from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now

from operations.models.labelled import Labelled
from operations.models.queued import Queued
from operations.states import ACTIVE, FINAL, Status
from worker_agent.protocol import ErrorClass
from worker_agent.trace import MAX_REQUEST_ID, MAX_TRACEPARENT, Trace

TOTAL_RETURN = F("result__metrics__total_return")
READY = Q(status=Status.PENDING.value, blockers=0, not_before__isnull=True)
"""The condition of the index from which operations are claimed. A pause that has ended is removed before a claim."""

LARGE = frozenset({"parameters", "result", "error_traceback", "strategy_name", "symbols", "note"})
"""Fields that most changes do not need: where a statement leaves them out, they are loaded when they are first read."""
LISTED = Q(archived_at__isnull=True, deleted_at__isnull=True)
"""Lists show these unless somebody asks for the others."""


def new_operation_id() -> str:
    """Return 80 random bits as 16 lower-case letters and digits: short in a URL, unguessable and unique."""
    return base64.b32encode(secrets.token_bytes(10)).decode().lower()


class VisibleOperations(models.Manager["Operation"]):
    """All operations except deleted ones, so that every list, look-up and count leaves them out."""

    def get_queryset(self) -> models.QuerySet["Operation"]:
        return super().get_queryset().filter(deleted_at__isnull=True)


class Operation(Queued, Labelled):
    """A unit of work. The row is the queue entry, the record and the source of truth; only `lifecycle` changes its status."""

    operation_id = models.CharField(
        primary_key=True, max_length=128, default=new_operation_id, editable=False
    )
    operation_type = models.CharField(max_length=128)
    status = models.CharField(max_length=16, choices=[(s, s) for s in Status], default=Status.PENDING)
    parameters = models.JSONField(default=dict)

    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, db_index=False
    )
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    timeout_s = models.PositiveIntegerField(
        null=True, blank=True, help_text="seconds that an attempt may run; empty: no limit"
    )

    worker_id = models.CharField(max_length=128, blank=True, help_text="worker of the newest attempt")
    attempt = models.PositiveIntegerField(default=0, help_text="number of the newest attempt, the fence")
    max_attempts = models.PositiveIntegerField(default=3)
    attempts_from = models.PositiveIntegerField(
        default=0, help_text="number of the last attempt before a person retried it"
    )
    setbacks = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        help_text="unexpected errors of the backend while handling it, since it last ran or was retried",
    )
    resume = models.BooleanField(
        default=True, help_text="the next attempt resumes from the newest checkpoint"
    )

    progress = models.JSONField(default=dict, blank=True)
    progress_updated_at = models.DateTimeField(null=True, blank=True)
    progress_asked_at = models.DateTimeField(null=True, blank=True)

    result = models.JSONField(null=True, blank=True)
    error_class = models.CharField(max_length=16, choices=[(c, c) for c in ErrorClass], blank=True)
    error_message = models.TextField(blank=True)
    error_traceback = models.TextField(blank=True)

    idempotency_key = models.CharField(max_length=255, blank=True)
    request_sha256 = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of the request body that used this key"
    )
    request_id = models.CharField(
        max_length=MAX_REQUEST_ID,
        blank=True,
        db_default="",
        help_text="id of the last request that asked for it",
    )
    traceparent = models.CharField(
        max_length=MAX_TRACEPARENT, blank=True, db_default="", help_text="W3C trace context of that request"
    )
    cloned_from = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="clones", db_index=False
    )

    strategy = models.CharField(
        max_length=32,
        null=True,
        blank=True,
        editable=False,
        help_text="digest of its strategy, or of the one whose model it uses; set by a trigger in the database",
    )
    strategy_digest = models.CharField(
        max_length=32,
        null=True,
        blank=True,
        editable=False,
        help_text="digest of its own strategy text, set by a trigger",
    )
    strategy_name = models.TextField(
        null=True,
        blank=True,
        editable=False,
        help_text="name of its own strategy; set by a trigger, so that searches do not read the text",
    )
    symbols = models.TextField(
        blank=True,
        db_default="",
        editable=False,
        help_text="symbols of the parameters, for searches; set by a trigger",
    )

    objects = VisibleOperations()
    with_deleted: ClassVar[models.Manager["Operation"]] = models.Manager()

    class Meta:
        ordering = ["-created_at", "-operation_id"]
        constraints = [
            # Each statement that writes a row reads and simplifies all conditions again, so each status is named once.
            models.CheckConstraint(
                condition=Q(
                    status__in=sorted(s.value for s in Status if s not in FINAL), completed_at__isnull=True
                )
                | Q(status__in=sorted(s.value for s in FINAL), completed_at__isnull=False),
                name="operation_status_fits_end",
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.FAILED.value) | ~Q(error_class=""), name="operation_failed_why"
            ),
            models.UniqueConstraint(
                fields=["created_by", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="operation_idempotency_key_once_per_user",
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-operation_id"], name="operation_newest"),
            models.Index(fields=["status", "-created_at"], name="operation_by_status", condition=LISTED),
            # Covers the order of the table of runs, so that it reads no rows.
            models.Index(
                fields=["operation_type", "-created_at"],
                include=["operation_id", "archived_at"],
                name="operation_by_type",
                condition=Q(deleted_at__isnull=True),
            ),
            models.Index(fields=["worker_id", "-created_at"], name="operation_by_worker"),
            models.Index(
                F("demand"),
                Coalesce("created_by", 0),
                F("rank"),
                F("operation_id"),
                name="operation_ready",
                condition=READY,
            ),
            models.Index(fields=["rank"], name="operation_waiting", condition=Q(status=Status.PENDING.value)),
            models.Index(
                fields=["created_by", "demand"],
                name="operation_waiting_demand",
                condition=Q(status=Status.PENDING.value),
            ),
            models.Index(
                fields=["not_before"],
                name="operation_paused",
                condition=Q(status=Status.PENDING.value, not_before__isnull=False),
            ),
            models.Index(
                fields=["created_at"],
                name="operation_uncounted",
                condition=Q(status=Status.PENDING.value, blockers__isnull=True),
            ),
            models.Index(
                fields=["created_at"],
                name="operation_impatient",
                condition=Q(status=Status.PENDING.value, queue=False),
            ),
            models.Index(
                fields=["demand", "-completed_at"],
                name="operation_completed",
                condition=Q(status=Status.COMPLETED.value),
            ),
            models.Index(
                fields=["status"],
                name="operation_active",
                condition=Q(status__in=sorted(s.value for s in ACTIVE)),
            ),
            models.Index(
                fields=["strategy", "-created_at"],
                name="operation_of_strategy",
                condition=Q(strategy__isnull=False, deleted_at__isnull=True),
            ),
            # The best run of a strategy. Numbers in JSON are compared as numbers; other values are left out.
            models.Index(
                F("strategy"),
                TOTAL_RETURN.desc(),
                name="operation_best_return",
                condition=Q(strategy__isnull=False, status=Status.COMPLETED.value),
            ),
            models.Index(
                fields=["expires_at"],
                name="operation_expiring",
                condition=Q(status=Status.PENDING.value, expires_at__isnull=False),
            ),
            models.Index(fields=["created_by", "-created_at", "-operation_id"], name="operation_by_user"),
            models.Index(F("completed_at").desc(nulls_last=True), "status", name="operation_newest_end"),
            models.Index(
                fields=["cloned_from"], name="operation_clones", condition=Q(cloned_from__isnull=False)
            ),
            models.Index(
                fields=["deleted_at"], name="operation_deleted", condition=Q(deleted_at__isnull=False)
            ),
            GinIndex(fields=["parameters"], name="operation_parameters", opclasses=["jsonb_path_ops"]),
        ]

    def __str__(self) -> str:
        return f"{self.operation_type} {self.operation_id}"

    @property
    def trace(self) -> Trace:
        return Trace.of(self.request_id, self.traceparent)

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE
