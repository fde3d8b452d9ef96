from django.contrib.postgres.fields import ArrayField
from django.db import models

from operations.models.operation import Operation


class Batch(models.Model):
    """The operations of a batch that was submitted with an idempotency key, which its first operation holds."""

    first = models.OneToOneField(Operation, primary_key=True, on_delete=models.CASCADE, related_name="batch")
    operation_ids = ArrayField(models.CharField(max_length=128), help_text="in the order of the request")

    class Meta:
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        return f"{len(self.operation_ids)} operations from {self.first_id}"
