"""KTRDR from notebooks: market data, trainings, backtests and studies as Python objects and DataFrames.

    from ktrdr_client import Client

    ktrdr = Client()  # KTRDR_URL and KTRDR_TOKEN
    ktrdr.market_data.import_("AAPL.csv", "AAPL", "1d")
    backtest = ktrdr.backtests.start("AAPL", strategy="cross.yaml").wait()
    backtest.metrics["sharpe"], backtest.equity()

`AsyncClient` has the same methods as coroutines.
"""

from ktrdr_client.aio.client import AsyncClient
from ktrdr_client.aio.operations import AsyncOperation
from ktrdr_client.aio.schedules import AsyncSchedule
from ktrdr_client.aio.seed_runs import AsyncSeedRun
from ktrdr_client.aio.studies import AsyncStudy
from ktrdr_client.aio.uploads import AsyncUpload
from ktrdr_client.frames import results
from ktrdr_client.problems import (
    ClientError,
    FieldError,
    NotReachable,
    OperationFailed,
    ProblemError,
    StudyFailed,
    WaitTimeout,
)
from ktrdr_client.sync.client import Client
from ktrdr_client.sync.operations import Operation
from ktrdr_client.sync.schedules import Schedule
from ktrdr_client.sync.seed_runs import SeedRun
from ktrdr_client.sync.studies import Study
from ktrdr_client.sync.uploads import Upload
from ktrdr_client.version import VERSION

__version__ = VERSION
__all__ = [
    "AsyncClient",
    "AsyncOperation",
    "AsyncSchedule",
    "AsyncSeedRun",
    "AsyncStudy",
    "AsyncUpload",
    "Client",
    "ClientError",
    "FieldError",
    "NotReachable",
    "Operation",
    "OperationFailed",
    "ProblemError",
    "Schedule",
    "SeedRun",
    "Study",
    "StudyFailed",
    "Upload",
    "WaitTimeout",
    "results",
]
