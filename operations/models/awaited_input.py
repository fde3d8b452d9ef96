from django.db import models

from operations.models.operation import Operation


class AwaitedInput(models.Model):
    """An input that another operation has yet to produce; its file becomes an input when the operation is claimed."""

    operation = models.ForeignKey(
        Operation, on_delete=models.CASCADE, related_name="awaited_inputs", db_index=False
    )
    name = models.CharField(max_length=200)
    source = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="+")
    artifact = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["operation", "name"], name="awaited_input_name"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.operation_id}"
