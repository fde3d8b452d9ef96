"""A submission that was repeated with several seeds, so that the spread of its figures over the seeds is known."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from operations.models.operation import Operation, new_operation_id

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class SeedRun(models.Model):
    """Operations that differ only in their seed, and the backtests of their models. Only `operations.seed_runs` writes it."""

    seed_run_id = models.CharField(max_length=128, unique=True, default=new_operation_id, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by: "models.ForeignKey[User | None]" = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["-created_at", "-id"], name="seed_run_newest")]

    def __str__(self) -> str:
        return self.seed_run_id


class SeedRunMember(models.Model):
    """An operation of a seed run, and the seed of the operation or of the model that it tests."""

    seed_run = models.ForeignKey(SeedRun, on_delete=models.CASCADE, related_name="members")
    operation = models.OneToOneField(
        Operation, primary_key=True, on_delete=models.CASCADE, related_name="seed_run_member"
    )
    seed = models.BigIntegerField()

    class Meta:
        ordering = ["operation__created_at", "operation_id"]

    def __str__(self) -> str:
        return f"{self.operation_id} with seed {self.seed}"
