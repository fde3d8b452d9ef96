from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from operations.models import Operation, StoredFile
from operations.models.operation import new_operation_id
from studies.states import LIVE, StudyStatus


class Study(models.Model):
    """A search with its budget and its counters. Only `studies.lifecycle` changes its status."""

    study_id = models.CharField(max_length=128, unique=True, default=new_operation_id, editable=False)
    name = models.CharField(max_length=100)
    status = models.CharField(
        max_length=16, choices=[(s, s) for s in StudyStatus], default=StudyStatus.RUNNING
    )
    kind = models.CharField(max_length=16, help_text="decisions, rules or training")
    spec = models.JSONField(help_text="the study file with its defaults filled in")
    spec_sha256 = models.CharField(max_length=64, help_text="SHA-256 of the spec, the strategy and the data")
    study_yaml = models.TextField()
    strategy_yaml = models.TextField()
    data = models.JSONField(help_text="symbol, timeframe and SHA-256 of its bars, fixed at creation")
    start_date = models.DateField(null=True, blank=True, help_text="first day of the search")
    end_date = models.DateField(null=True, blank=True, help_text="last day of the search")
    base_timeframe = models.CharField(max_length=8)
    model = models.ForeignKey(
        Operation, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    seed = models.BigIntegerField()
    window = models.PositiveIntegerField(
        help_text="tpe: a trial is proposed from the results of all trials more than this before it"
    )
    priority = models.IntegerField(default=-10)
    parallel = models.PositiveIntegerField(
        null=True, blank=True, help_text="batches at the same time; empty: half of the suitable workers"
    )
    hours = models.FloatField(null=True, blank=True, help_text="budget of time while it runs")
    cpu_hours = models.FloatField(null=True, blank=True, help_text="budget of the trials' CPU time")
    optimizer_version = models.CharField(max_length=32, blank=True, help_text="of Optuna, for tpe")

    planned = models.PositiveIntegerField(help_text="trials")
    proposed = models.PositiveIntegerField(
        default=0, help_text="trials that have a row: 0 to this, exclusive"
    )
    completed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    stopped_early = models.PositiveIntegerField(default=0)
    failures_from = models.PositiveIntegerField(
        default=0,
        help_text="trials that had ended when it was last resumed: earlier failures do not pause it",
    )
    best_number = models.PositiveIntegerField(null=True, blank=True)
    best_value = models.FloatField(null=True, blank=True)
    cpu_ms = models.FloatField(default=0.0)
    wall_s = models.FloatField(default=0.0, help_text="seconds while it ran, before `running_since`")
    running_since = models.DateTimeField(null=True, blank=True, db_default=Now())

    waiting_reason = models.CharField(max_length=500, blank=True)
    reporter = models.ForeignKey(
        Operation, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False,
        help_text="the newest operation study_report",
    )  # fmt: skip
    report = models.JSONField(null=True, blank=True, help_text="result of the newest study_report")
    holdout_looks = models.PositiveIntegerField(default=0, help_text="how often the sealed part was used")
    counted_before = models.PositiveIntegerField(
        default=0, help_text="distinct trials counted on its data before it"
    )

    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, db_index=False
    )
    idempotency_key = models.CharField(max_length=255, blank=True)
    request_sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name_plural = "studies"
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=[s.value for s in StudyStatus]), name="study_status_known"
            ),
            models.CheckConstraint(
                condition=Q(status__in=sorted(s.value for s in LIVE), ended_at__isnull=True)
                | (~Q(status__in=sorted(s.value for s in LIVE)) & Q(ended_at__isnull=False)),
                name="study_ended_when",
            ),
            models.CheckConstraint(
                condition=Q(proposed__lte=F("planned"))
                & Q(proposed__gte=F("completed") + F("failed") + F("stopped_early")),
                name="study_counters_agree",
            ),
            models.UniqueConstraint(
                fields=["created_by", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="study_idempotency_key_once_per_user",
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="study_newest"),
            models.Index(
                fields=["status"], name="study_live", condition=Q(status__in=sorted(s.value for s in LIVE))
            ),
            models.Index(fields=["spec_sha256"], name="study_by_spec"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def ended(self) -> int:
        """Number of trials that have ended."""
        return self.completed + self.failed + self.stopped_early

    @property
    def running(self) -> int:
        """Number of trials that belong to a batch that has not ended."""
        return self.proposed - self.ended

    @property
    def cpu_s(self) -> float:
        """CPU seconds of its trials so far."""
        return self.cpu_ms / 1000

    @property
    def maximizes(self) -> bool:
        return bool(self.spec["objective"]["maximize"])

    @property
    def objective_metric(self) -> str:
        return str(self.spec["objective"]["metric"])


class StudyFile(models.Model):
    """A file that a study needs as long as it exists, such as its bars: kept although the market data were replaced."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="files")
    name = models.CharField(max_length=200)
    file = models.ForeignKey(StoredFile, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["study", "name"], name="study_file_once")]

    def __str__(self) -> str:
        return self.name


class StudyCount(models.Model):
    """The trials of all studies with one spec on the bars of a symbol and timeframe, counted once."""

    spec_sha256 = models.CharField(max_length=64)
    symbol = models.CharField(max_length=64)
    timeframe = models.CharField(max_length=8)
    trials = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["spec_sha256", "symbol", "timeframe"], name="study_count_once")
        ]

    def __str__(self) -> str:
        return f"{self.trials} trials on {self.symbol} {self.timeframe}"
