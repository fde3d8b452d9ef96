from operations.models.artifact import Artifact, StoredFile
from operations.models.attempt import Attempt, Checkpoint
from operations.models.awaited_input import AwaitedInput
from operations.models.batch import Batch
from operations.models.demand import Demand
from operations.models.dispatch_pause import DispatchPause
from operations.models.event import Event
from operations.models.market_data import MarketData
from operations.models.notification import Delivery, Subscription
from operations.models.operation import Operation
from operations.models.quota import Quota
from operations.models.run_metrics import RunMetrics
from operations.models.schedule import Schedule, ScheduleRun
from operations.models.search_text import SearchText
from operations.models.seed_run import SeedRun, SeedRunMember
from operations.models.shared_link import SharedLink
from operations.models.tag import Tag
from operations.models.telemetry import LogLine, MetricPoint
from operations.models.trial import Trial, TrialCount
from operations.models.upload import Upload

__all__ = [
    "Artifact",
    "Attempt",
    "AwaitedInput",
    "Batch",
    "Checkpoint",
    "Delivery",
    "Demand",
    "DispatchPause",
    "Event",
    "LogLine",
    "MarketData",
    "MetricPoint",
    "Operation",
    "Quota",
    "RunMetrics",
    "Schedule",
    "ScheduleRun",
    "SearchText",
    "SeedRun",
    "SeedRunMember",
    "SharedLink",
    "StoredFile",
    "Subscription",
    "Tag",
    "Trial",
    "TrialCount",
    "Upload",
]
