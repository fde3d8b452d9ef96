from django.db import models
from django.db.models.functions import Now

from studies.models.study import Study


class StudyEvent(models.Model):
    """A change of a study: who, when, from which status to which, and why."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(db_default=Now())
    actor = models.CharField(max_length=200)
    from_status = models.CharField(max_length=16, blank=True)
    to_status = models.CharField(max_length=16, blank=True)
    reason = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.from_status} to {self.to_status}: {self.reason}"
