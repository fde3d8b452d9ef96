from django.db import models

from operations.models.operation import Operation


class Telemetry(models.Model):
    """Append-only and numbered by the worker, so a batch sent twice is harmless."""

    attempt = models.PositiveIntegerField()
    seq = models.PositiveBigIntegerField(help_text="within the attempt")
    time = models.DateTimeField(help_text="by the worker's clock")

    class Meta:
        abstract = True


class MetricPoint(Telemetry):
    operation = models.ForeignKey(
        Operation, on_delete=models.CASCADE, related_name="metric_points", db_index=False
    )
    name = models.CharField(max_length=100)
    step = models.BigIntegerField()
    value = models.FloatField(null=True, help_text="null if the job reported NaN or infinity")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["operation", "attempt", "seq"], name="metric_seq_once_per_attempt"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name}[{self.step}] = {self.value}"


class LogLine(Telemetry):
    operation = models.ForeignKey(
        Operation, on_delete=models.CASCADE, related_name="log_lines", db_index=False
    )
    level = models.CharField(max_length=16)
    message = models.TextField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["operation", "attempt", "seq"], name="log_seq_once_per_attempt")
        ]

    def __str__(self) -> str:
        return self.message[:80]
