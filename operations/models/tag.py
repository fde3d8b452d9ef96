from django.db import models


class Tag(models.Model):
    """A short normalised text that groups operations, with the goal and the note of its page."""

    name = models.CharField(primary_key=True, max_length=40)
    goal = models.CharField(max_length=200, blank=True, db_default="")
    note = models.TextField(blank=True, db_default="", help_text="Markdown")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
