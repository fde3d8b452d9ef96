from django.db import models


class Trial(models.Model):
    """Settings of an operation whose figures on the bars of a symbol and timeframe somebody could look at.

    Repetitions are the same trial.
    """

    symbol = models.CharField(max_length=64)
    timeframe = models.CharField(max_length=8)
    settings_sha256 = models.CharField(
        max_length=64, help_text="of the settings that differ from their default"
    )
    sharpe = models.FloatField(
        null=True,
        help_text="per observation, not annualized; empty if the trial has not completed since version 0.3",
    )
    without_ratio = models.BooleanField(
        db_default=False, default=False, help_text="its figures have no Sharpe ratio"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["symbol", "timeframe", "settings_sha256"], name="trial_once")
        ]
        indexes = [
            models.Index(
                fields=["symbol", "timeframe"],
                condition=models.Q(without_ratio=True),
                name="trial_without_ratio",
            )
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.timeframe} {self.settings_sha256[:12]}"


class TrialCount(models.Model):
    """The number of distinct trials with a Sharpe ratio on the bars of a symbol and timeframe."""

    symbol = models.CharField(max_length=64)
    timeframe = models.CharField(max_length=8)
    trials = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["symbol", "timeframe"], name="trial_count_once_per_data")
        ]

    def __str__(self) -> str:
        return f"{self.trials} trials on {self.symbol} {self.timeframe}"
