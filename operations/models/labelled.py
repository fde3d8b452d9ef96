from django.db import models

from operations.models.tag import Tag


class Labelled(models.Model):
    """The notes of people on an operation. They never change how it runs; only `labels` and `deletion` write them."""

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
