from operations.models.artifact import Artifact, StoredFile
from operations.models.attempt import Attempt, Checkpoint
from operations.models.batch import Batch
from operations.models.event import Event
from operations.models.market_data import MarketData
from operations.models.notification import Delivery, Subscription
from operations.models.operation import Operation
from operations.models.search_text import SearchText
from operations.models.telemetry import LogLine, MetricPoint

__all__ = [
    "Artifact",
    "Attempt",
    "Batch",
    "Checkpoint",
    "Delivery",
    "Event",
    "LogLine",
    "MarketData",
    "MetricPoint",
    "Operation",
    "SearchText",
    "StoredFile",
    "Subscription",
]
