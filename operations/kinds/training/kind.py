"""Training: fit a model to a strategy's features and labels."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from access.problems import invalid, validate
from operations import example_requests, market_data, strategies
from operations.headline import Headline
from operations.kind import Kind, Step
from operations.kinds.training import comparison, report, trials
from operations.kinds.training.form import FORM
from operations.kinds.training.headline import headline
from operations.kinds.training.messages import TrainingParameters, TrainingResult
from operations.kinds.training.model_card import architecture
from operations.kinds.training.request import TrainingRequest
from operations.kinds.training.run_metrics import learning_curve, run_metrics
from operations.kinds.training.scores import headlines, metric_style, scores
from operations.kinds.training.verdict import verdict
from operations.models import MarketData, Operation
from operations.presentation.charts import Chart
from operations.presentation.curves import curves
from operations.presentation.metrics import MetricStyle
from operations.presentation.reliability import audit_lines, warnings_of
from operations.requests import Submission
from worker_agent.protocol import Report

if TYPE_CHECKING:
    from django.urls import URLPattern


class Training(Kind):
    operation_type = "training"
    title = "Training"
    description: ClassVar = (
        "Fit a model to a strategy's features and labels. Produces curves, scores and the model."
    )
    request_model: ClassVar = TrainingRequest
    request_example: ClassVar = example_requests.TRAINING
    submit_path: ClassVar = "/training/start"
    parameters_model: ClassVar = TrainingParameters
    result_model: ClassVar = TrainingResult
    form: ClassVar = FORM
    is_clonable: ClassVar = True
    is_run: ClassVar = True
    is_seeded: ClassVar = True
    curve_name: ClassVar = "Validation loss"
    is_submitted_by_command: ClassVar = True
    result_template: ClassVar = "training/result.html"
    has_report: ClassVar = True

    def build(self, request: TrainingRequest) -> Submission:
        needs = strategies.read(request.strategy_yaml, "/strategy_yaml")
        if not needs.is_trained:
            detail = "A rules strategy is not trained; backtest it without a model."
            raise invalid("/strategy_yaml/model/type", detail)
        symbols = request.symbols or needs.symbols
        if not symbols:
            raise invalid("/symbols", "The strategy lists no symbols; set `symbols`.")
        timeframes = request.timeframes or needs.timeframes
        if lacking := sorted(needs.used_timeframes - set(timeframes)):
            raise invalid("/timeframes", f"The strategy's inputs also need {', '.join(lacking)}.")
        pointer = "/symbols" if request.symbols else "/strategy_yaml"
        parameters = {
            "strategy_yaml": request.strategy_yaml,
            "symbols": list(symbols),
            "timeframes": list(timeframes),
            **request.dates(),
            "seed": request.seed,
            "device": request.device,
        }
        inputs = market_data.inputs_of(symbols, timeframes, needs.base, request, pointer)
        inputs |= market_data.inputs_of(
            needs.other_symbols, timeframes, needs.base, request, "/strategy_yaml"
        )
        return Submission(self.operation_type, parameters, request, request.prefer_gpu, inputs)

    def api_urls(self) -> "Sequence[URLPattern]":
        from operations.kinds.training.api import urlpatterns

        return urlpatterns

    def request_from_options(self, options: Mapping[str, Any]) -> TrainingRequest:
        symbols = {"symbols": options["symbols"]} if options["symbols"] else {}
        return validate(TrainingRequest, {**options["common"], **symbols})

    def complete(self, operation: Operation, report: Report) -> None:
        trials.count_trials(operation, report.result or {})

    def headline(self, result: Mapping[str, Any]) -> Headline | None:
        return headline(result)

    def result_context(self, operation: Operation) -> dict[str, Any]:
        result = operation.result or {}
        table = scores(result)
        return {
            "verdict": verdict(result),
            "architecture": architecture(result),
            "scores": table,
            "headline_scores": headlines(table),
            "warnings": warnings_of(result),
            "audit_lines": audit_lines(result),
        }

    def report_context(self, operation: Operation, stored: dict[str, Any]) -> dict[str, Any]:
        return {"report": report.read(stored, operation.result or {}, curves(operation))}

    def run_metrics(self, operation: Operation) -> dict[str, Any]:
        return run_metrics(operation.result or {})

    def run_curve(self, operation: Operation) -> list[float]:
        return learning_curve(operation)

    def metric_style(self, name: str) -> MetricStyle:
        return metric_style(name)

    def comparison_charts(self, operations: Sequence[Operation]) -> list[Chart]:
        chart = comparison.loss_chart(operations)
        return [chart] if chart else []

    def step_from_market_data(self, bars: MarketData) -> Step:
        return Step("Train on this data", self.operation_type, {"symbols": bars.symbol})

    def step_from_strategy(self, digest: str | None, text: str) -> Step | None:
        if digest is None:
            return Step("New training", self.operation_type, {})
        if strategies.has_rules(text):
            return None
        return Step("Train this strategy", self.operation_type, {"strategy": digest})
