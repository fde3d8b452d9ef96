from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import BigIntegerRangeField, RangeOperators
from django.db import models
from django.db.models import F, Func, Q

from operations.models import Operation
from studies.models.study import Study
from studies.models.trial import StudyTrial, TrialState

FINALIST_RUNG = 15
"""Of a batch that tests one finalist: above all rungs of early stopping, so that its place meets no other."""


class StudyBatch(models.Model):
    """Trials that one operation evaluates: those of a range that have reached its rung."""

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
        if self.is_finalist:
            return f"finalist {self.first}"
        rung = f", rung {self.rung}" if self.rung else ""
        return f"trials {self.first} to {self.last}{rung}"

    @property
    def is_finalist(self) -> bool:
        return bool(self.rung == FINALIST_RUNG)

    @property
    def trials(self) -> models.QuerySet[StudyTrial]:
        """The trials that it evaluates while it is open."""
        rows = StudyTrial.objects.filter(
            study=self.study_id, number__gte=self.first, number__lte=self.last
        ).order_by("number")
        if self.is_finalist:
            return rows
        return rows.filter(state=TrialState.RUNNING, rung=max(0, self.rung - 1))
