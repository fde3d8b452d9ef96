from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from operations.models.attempt import Checkpoint
from operations.models.operation import Operation


class StoredFile(models.Model):
    """A file on disk under its SHA-256. Kept while anything refers to it, and for the retention time after that."""

    sha256 = models.CharField(primary_key=True, max_length=64)
    size = models.PositiveBigIntegerField(help_text="bytes")
    created_at = models.DateTimeField(db_default=Now())
    touched_at = models.DateTimeField(
        null=True,
        blank=True,
        db_default=Now(),
        help_text="time of the last upload or removed reference; empty: the cleanup found a reference since",
    )
    damaged_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="time at which the file was found missing or with another content; empty: not found so",
    )

    class Meta:
        indexes = [
            models.Index(
                fields=["touched_at"],
                name="stored_file_to_check",
                condition=Q(touched_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return self.sha256[:12]


class Artifact(models.Model):
    """A named file of an operation: an input, an output, or part of a checkpoint."""

    class Role(models.TextChoices):
        INPUT = "input"
        OUTPUT = "output"
        CHECKPOINT = "checkpoint"

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="artifacts")
    role = models.CharField(max_length=16, choices=Role.choices)
    name = models.CharField(max_length=200)
    attempt = models.PositiveIntegerField(default=0, help_text="attempt that created it; 0 for inputs")
    checkpoint = models.ForeignKey(
        Checkpoint, null=True, blank=True, on_delete=models.CASCADE, related_name="files"
    )
    file = models.ForeignKey(StoredFile, on_delete=models.PROTECT, related_name="artifacts")

    class Meta:
        ordering = ["operation", "role", "name"]
        indexes = [
            models.Index(fields=["name", "file"], name="artifact_input_by_name", condition=Q(role="input"))
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["operation", "role", "name"],
                condition=~Q(role="checkpoint"),
                name="artifact_name_once",
            ),
            models.UniqueConstraint(
                fields=["checkpoint", "name"],
                condition=Q(role="checkpoint"),
                name="artifact_name_once_per_checkpoint",
            ),
            models.CheckConstraint(
                condition=Q(role="checkpoint", checkpoint__isnull=False)
                | (~Q(role="checkpoint") & Q(checkpoint__isnull=True)),
                name="artifact_checkpoint_files_name_theirs",
            ),
        ]

    def __str__(self) -> str:
        return self.name
