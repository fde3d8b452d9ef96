"""The worker that runs backtests and studies, and imports market data."""

from typing import Any

from worker_agent.base import Job, OperationSpec, WorkerAPIBase
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.market_data.parameters import ImportParameters
from workers.previews.parameters import StrategyPreviewParameters
from workers.studies.messages import BatchParameters, ReportParameters


def backtest(worker: "BacktestWorker", parameters: BacktestParameters, job: Job) -> dict[str, Any]:
    from workers.backtesting.backtest_pipeline import run_backtest

    return run_backtest(parameters, job)


def import_data(worker: "BacktestWorker", parameters: ImportParameters, job: Job) -> dict[str, Any]:
    from workers.market_data.importing import run_import

    return run_import(parameters, job)


def preview_data(worker: "BacktestWorker", parameters: ImportParameters, job: Job) -> dict[str, Any]:
    from workers.market_data.preview import run_preview

    return run_preview(parameters, job)


def preview_strategy(
    worker: "BacktestWorker", parameters: StrategyPreviewParameters, job: Job
) -> dict[str, Any]:
    from workers.previews.strategy_preview import run_strategy_preview

    return run_strategy_preview(parameters, job)


def study_batch(worker: "BacktestWorker", parameters: BatchParameters, job: Job) -> dict[str, Any]:
    from workers.studies.run import run_batch

    return run_batch(parameters, job)


def study_report(worker: "BacktestWorker", parameters: ReportParameters, job: Job) -> dict[str, Any]:
    from workers.studies.report import run_report

    return run_report(parameters, job)


class BacktestWorker(WorkerAPIBase):
    """Runs backtests of trained strategies and batches of studies, and imports market data."""

    worker_type = "backtesting"
    operations = (
        OperationSpec("backtesting", "/backtests/start", BacktestParameters, backtest),
        OperationSpec("data_import", "/data-imports/start", ImportParameters, import_data),
        OperationSpec("data_preview", "/data-previews/start", ImportParameters, preview_data),
        OperationSpec(
            "strategy_preview", "/strategy-previews/start", StrategyPreviewParameters, preview_strategy
        ),
        OperationSpec("study_batch", "/study-batches/start", BatchParameters, study_batch),
        OperationSpec("study_report", "/study-reports/start", ReportParameters, study_report),
    )
    default_port = 5003
    # The last modules need torch; the fork server goes on without them if torch is not installed.
    preload = (
        "workers.market_data.preview",
        "workers.backtesting.backtest_pipeline",
        "workers.previews.strategy_preview",
        "workers.studies.report",
        "workers.learning.model_files",
    )
    warm_up = "workers.warming:warm_up"
