from django.contrib.postgres.fields import ArrayField
from django.db import models

from operations.models.operation import Operation

RANKED = ("sharpe", "total_return", "excess_return", "dsr", "max_drawdown", "validation_score")
"""Metrics with an index. The others are compared row by row, which takes 20 ms for 10,000 runs."""


class RunMetrics(models.Model):
    """Headline metrics of a completed run in columns, because sorting by numbers inside JSON reads every result.

    Fractions, not percent; drawdowns are negative; empty: undefined, or not a metric of this kind.
    """

    operation = models.OneToOneField(
        Operation, primary_key=True, on_delete=models.CASCADE, related_name="run_metrics"
    )
    total_return = models.FloatField(null=True)
    excess_return = models.FloatField(null=True, help_text="total return minus that of buy and hold")
    cagr = models.FloatField(null=True)
    sharpe = models.FloatField(null=True)
    sortino = models.FloatField(null=True)
    calmar = models.FloatField(null=True)
    psr = models.FloatField(null=True)
    dsr = models.FloatField(null=True)
    max_drawdown = models.FloatField(null=True)
    volatility = models.FloatField(null=True)
    exposure = models.FloatField(null=True)
    turnover = models.FloatField(null=True)
    trades = models.FloatField(null=True)
    win_rate = models.FloatField(null=True)
    profit_factor = models.FloatField(null=True)
    validation_score = models.FloatField(null=True, help_text="accuracy, or R² of a regression")
    test_score = models.FloatField(null=True)
    validation_loss = models.FloatField(null=True)
    settings = models.JSONField(default=dict, help_text="parameters and strategy values by flat name")
    curve = ArrayField(models.FloatField(), default=list, help_text="equity or loss as a few points")

    class Meta:
        verbose_name_plural = "run metrics"
        indexes = [
            models.Index(models.F(name).desc(nulls_last=True), name=f"run_by_{name}") for name in RANKED
        ]

    def __str__(self) -> str:
        return f"metrics of {self.operation_id}"
