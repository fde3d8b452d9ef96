from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import BigIntegerRangeField, RangeOperators
from django.db import models
from django.db.models import F, Func, Q

from operations.models import Operation
from studies.models.study import Study


class StudyBatch(models.Model):
    """Consecutive trials that one operation evaluates."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="batches")
    rung = models.PositiveSmallIntegerField(default=0)
    first = models.PositiveIntegerField()
    last = models.PositiveIntegerField(help_text="included")
    operation = models.OneToOneField(
        Operation, null=True, blank=True, on_delete=models.SET_NULL, related_name="study_batch",
        help_text="the newest one; empty if its history was removed, or the batch waits to be submitted",
    )  # fmt: skip
    is_open = models.BooleanField(default=True, help_text="the trials have no results yet")
    place = models.GeneratedField(
        # Without the extension btree_gist an exclusion constraint takes only ranges: study, rung and numbers in one.
        expression=Func(
            F("study"),
            F("rung"),
            F("first"),
            F("last"),
            template=(
                "int8range((study_id << 36) + (rung::bigint << 32) + first,"
                " (study_id << 36) + (rung::bigint << 32) + last, '[]')"
            ),
        ),
        output_field=BigIntegerRangeField(),
        db_persist=True,
    )

    class Meta:
        ordering = ["study", "rung", "first"]
        verbose_name_plural = "study batches"
        constraints = [
            models.CheckConstraint(condition=Q(first__lte=F("last")), name="study_batch_in_order"),
            models.CheckConstraint(condition=Q(rung__lt=16), name="study_batch_rung_fits"),
            ExclusionConstraint(
                name="study_batch_no_trial_twice", expressions=[("place", RangeOperators.OVERLAPS)]
            ),
        ]
        indexes = [
            models.Index(fields=["study", "first"], name="study_batch_open", condition=Q(is_open=True)),
        ]

    def __str__(self) -> str:
        return f"trials {self.first} to {self.last}"

    @property
    def size(self) -> int:
        return int(self.last) - int(self.first) + 1
