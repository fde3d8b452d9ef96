from django.db import models
from django.db.models import F, Q

from studies.models.study import Study


class TrialState(models.TextChoices):
    RUNNING = "running"
    """Belongs to a batch that has not ended, or waits at a rung of early stopping."""
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED_EARLY = "stopped_early"


class StudyTrial(models.Model):
    """One point of the search space. Its evaluation is a pure function of the study and its number."""

    pk = models.CompositePrimaryKey("study", "number")
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="trials", db_index=False)
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=16, choices=TrialState, default=TrialState.RUNNING)
    parameters = models.JSONField(help_text="the value of each searched parameter, by its pointer")
    value = models.FloatField(
        null=True, blank=True, help_text="of the objective; empty where it is undefined"
    )
    scores = models.JSONField(default=dict, blank=True)
    rung = models.PositiveSmallIntegerField(default=0)
    cpu_ms = models.FloatField(default=0.0)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["study", "number"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=TrialState.values), name="study_trial_state_known"),
            models.CheckConstraint(
                condition=Q(state=TrialState.FAILED) | Q(error=""), name="study_trial_error_if_failed"
            ),
        ]
        indexes = [
            models.Index(
                F("study"),
                F("value").desc(nulls_last=True),
                F("number"),
                name="study_trial_best",
                condition=Q(state=TrialState.COMPLETED),
            ),
            models.Index(
                fields=["study", "number"],
                name="study_trial_not_completed",
                condition=~Q(state=TrialState.COMPLETED),
            ),
        ]

    def __str__(self) -> str:
        return f"trial {self.number}"
