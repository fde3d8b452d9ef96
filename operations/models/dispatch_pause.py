from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class DispatchPause(models.Model):
    """While this single row exists and has not expired, dispatchers start no operation.

    If it is read-only, nothing that the site or its workers request is stored either.
    """

    ONLY = 1

    number = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    reason = models.CharField(max_length=200)
    paused_by = models.CharField(max_length=200, help_text="user:NAME, command")
    paused_at = models.DateTimeField(db_default=Now())
    read_only = models.BooleanField(default=False, db_default=False)
    ends_at = models.DateTimeField(null=True, help_text="empty: until somebody ends it")

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(number=1), name="one_dispatch_pause")]

    def __str__(self) -> str:
        return self.reason


def in_force() -> Q:
    """Return the condition of a pause that has not expired, by the database's clock."""
    return Q(ends_at__isnull=True) | Q(ends_at__gt=Now())
