from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from operations.models.operation import Operation


class Event(models.Model):
    """An event of an operation: a change of status, or an action of a person or worker. Append-only; `id` is its seq."""

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="events", db_index=False)
    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(max_length=32, help_text="status, refused_report, checkpoint, ...")
    from_status = models.CharField(max_length=16, blank=True)
    to_status = models.CharField(max_length=16, blank=True)
    attempt = models.PositiveIntegerField(null=True, blank=True)
    actor = models.CharField(max_length=200, help_text="user:NAME, worker:ID, dispatcher, sweep, ...")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, db_index=False
    )
    address = models.GenericIPAddressField(null=True, blank=True, help_text="address of the person's request")
    reason = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["operation", "id"], name="event_of_operation"),
            # Most events come from workers and dispatchers.
            models.Index(fields=["user"], name="event_of_user", condition=Q(user__isnull=False)),
            models.Index(fields=["at"], name="event_refused_report", condition=Q(kind="refused_report")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.from_status} -> {self.to_status}"
