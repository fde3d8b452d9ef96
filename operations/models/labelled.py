from django.db import models

from operations.models.tag import Tag


class Labelled(models.Model):
    """What people write on an operation. It never changes how the operation runs; only `labels` and `deletion` write it."""

    title = models.CharField(max_length=200, blank=True, db_default="")
    note = models.TextField(blank=True, db_default="", help_text="Markdown")
    tags = models.ManyToManyField(Tag, related_name="operations", blank=True)
    archived_at = models.DateTimeField(null=True, blank=True, help_text="lists hide it since; empty: shown")
    dismissed_at = models.DateTimeField(
        null=True, blank=True, help_text="when somebody took note of its failure"
    )
    deleted_at = models.DateTimeField(
        null=True, blank=True, help_text="hidden since; the cleanup removes it after a grace"
    )

    class Meta:
        abstract = True
