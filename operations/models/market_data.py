from django.db import models
from django.db.models.functions import Now

from operations.models.artifact import StoredFile
from operations.models.operation import Operation


class MarketData(models.Model):
    """Bars of one symbol and timeframe from the newest import, validated by the worker that imported them."""

    symbol = models.CharField(max_length=64)
    timeframe = models.CharField(max_length=8)
    file = models.ForeignKey(
        StoredFile, on_delete=models.PROTECT, related_name="market_data", help_text="Parquet"
    )
    chart = models.ForeignKey(
        StoredFile,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="tiles of the chart; empty for bars that were imported before charts existed",
    )
    rows = models.PositiveBigIntegerField()
    start = models.DateTimeField(help_text="open of the first bar")
    end = models.DateTimeField(help_text="open of the last bar")
    quality = models.JSONField(default=dict)
    imported_by = models.ForeignKey(Operation, null=True, on_delete=models.SET_NULL, related_name="imported")
    imported_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["symbol", "timeframe"]
        verbose_name_plural = "market data"
        constraints = [
            models.UniqueConstraint(
                fields=["symbol", "timeframe"], name="market_data_once_per_symbol_and_timeframe"
            )
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.timeframe}"
