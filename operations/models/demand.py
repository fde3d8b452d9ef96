from django.db import models

DEMAND = "md5(operation_type || requirements::text || prefer_gpu::text)"
"""The expression of `Operation.demand` in SQL, for rows that are not stored yet."""


class Demand(models.Model):
    """The properties that decide which workers can run an operation; shared by all operations with the same ones.

    `Operation.demand` contains the digest, computed by the database. A row is stored with the first operation that has
    the demand; the dispatcher keeps the number of workers and the reason up to date.
    """

    digest = models.CharField(primary_key=True, max_length=32, editable=False)
    operation_type = models.CharField(max_length=128)
    requirements = models.JSONField(default=dict)
    prefer_gpu = models.BooleanField(default=False)
    workers = models.PositiveIntegerField(default=0, db_default=0, help_text="in service that meet it")
    waiting_reason = models.CharField(max_length=500, blank=True, help_text="why no worker takes one now")

    class Meta:
        ordering = ["operation_type", "digest"]
        indexes = [models.Index(fields=["operation_type"], name="demand_by_type")]

    def __str__(self) -> str:
        return f"{self.operation_type} {self.requirements or ''}".strip()
