"""Backtesting: trade a trained model or the conditions of a rules strategy over history."""

from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.management.base import CommandError

from access.problems import invalid, validate
from operations import example_requests, market_data, strategies
from operations.headline import Headline
from operations.kind import Kind, Step
from operations.kinds.backtesting import comparison, inputs, trials
from operations.kinds.backtesting import report as stored_report
from operations.kinds.backtesting.form import FORM
from operations.kinds.backtesting.messages import BacktestParameters, BacktestResult
from operations.kinds.backtesting.metric_rows import metric_rows, metric_style
from operations.kinds.backtesting.request import BacktestRequest
from operations.kinds.backtesting.run_metrics import equity_curve, run_metrics
from operations.kinds.backtesting.trade_parts import trade_parts
from operations.models import MarketData, Operation
from operations.presentation.charts import Chart
from operations.presentation.metrics import MetricStyle
from operations.presentation.numbers import dig, sign, signed_percent
from operations.presentation.reliability import audit_lines, warnings_of
from operations.presentation.subject import subject
from operations.requests import DateRange, Queueing, Submission
from worker_agent.protocol import Report
from workers.verdicts.backtest import verdict

if TYPE_CHECKING:
    from django.urls import URLPattern

MODELS_SUGGESTED = 20
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Backtesting(Kind):
    operation_type = "backtesting"
    title = "Backtest"
    former_names: ClassVar = ("backtest",)
    description: ClassVar = "Trade a trained model or a rules strategy over historical data, with costs, compared with buy and hold."
    request_model: ClassVar = BacktestRequest
    request_example: ClassVar = example_requests.BACKTEST
    submit_path: ClassVar = "/backtests/start"
    parameters_model: ClassVar = BacktestParameters
    result_model: ClassVar = BacktestResult
    operation_fields: ClassVar = ("model",)
    form: ClassVar = FORM
    is_clonable: ClassVar = True
    is_run: ClassVar = True
    tests_models = True
    curve_name: ClassVar = "Equity"
    is_submitted_by_command: ClassVar = True
    result_template: ClassVar = "backtesting/result.html"
    has_report: ClassVar = True

    def build(self, request: BacktestRequest) -> Submission:
        training = inputs.training_of(request) if request.model else None
        text, pointer = request.strategy_yaml, "/strategy_yaml"
        if text is None and training is not None:
            text, pointer = str(training.parameters.get("strategy_yaml", "")), "/model"
        if text is None:
            detail = "Set `model` to the id of a training, or `strategy_yaml` to a rules strategy."
            raise invalid("/model", detail)
        needs = strategies.read(text, pointer)
        _check_model(needs, training)
        if request.timeframe not in (None, needs.base):
            detail = f"The strategy's inputs use {needs.base} bars, not {request.timeframe}."
            raise invalid("/timeframe", detail)
        settings = request.model_dump(
            mode="json", exclude_none=True, exclude={*Queueing.model_fields, *DateRange.model_fields}
        )
        parameters = {**settings, "timeframe": needs.base, **request.dates()}
        bars = market_data.inputs_of([request.symbol], needs.timeframes, needs.base, request, "/symbol")
        bars |= market_data.inputs_of(needs.other_symbols, needs.timeframes, needs.base, request, pointer)
        bars |= inputs.reference_of(request.reference, needs.base)
        return Submission(self.operation_type, parameters, request, inputs=bars)

    def api_urls(self) -> "Sequence[URLPattern]":
        from operations.kinds.backtesting.api import urlpatterns

        return urlpatterns

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--model",
            metavar="OP",
            help="backtesting: id of the training whose model is tested; none for rules",
        )

    def request_from_options(self, options: Mapping[str, Any]) -> BacktestRequest:
        text = options["common"]["strategy_yaml"]
        symbols = options["symbols"] or strategies.read(text, "/strategy_yaml").symbols
        if len(symbols) != 1:
            raise CommandError("A backtest needs one symbol: --symbols GOOG")
        fields = {**options["common"], "symbol": symbols[0], "model": options["model"]}
        return validate(BacktestRequest, fields)

    def prepare(self, operation: Operation) -> None:
        inputs.prepare(operation)

    def complete(self, operation: Operation, report: Report) -> None:
        trials.record_sharpe(operation, report.result or {})

    def headline(self, result: Mapping[str, Any]) -> Headline | None:
        value = dig(result, "metrics", "total_return")
        return (
            Headline("return", signed_percent(value), sign(value)) if isinstance(value, int | float) else None
        )

    def result_context(self, operation: Operation) -> dict[str, Any]:
        result = operation.result or {}
        return {
            "verdict": verdict(result),
            "warnings": warnings_of(result),
            "audit_lines": audit_lines(result),
            "metric_rows": metric_rows(result.get("metrics") or {}),
        }

    def report_context(self, operation: Operation, stored: dict[str, Any]) -> dict[str, Any]:
        parts = trade_parts(operation)
        has_bars = parts["bar_chart"] is not None
        return {
            **parts,
            "report": stored_report.read(stored, operation.result or {}, parts["returns"], has_bars=has_bars),
            "month_names": MONTHS,
        }

    def run_metrics(self, operation: Operation) -> dict[str, Any]:
        return run_metrics(operation.result or {})

    def run_curve(self, operation: Operation) -> list[float]:
        return equity_curve(operation)

    def metric_style(self, name: str) -> MetricStyle:
        return metric_style(name)

    def comparison_charts(self, operations: Sequence[Operation]) -> list[Chart]:
        chart = comparison.equity_chart(operations)
        return [chart] if chart else []

    def comparison_warnings(self, operations: Sequence[Operation]) -> list[str]:
        return comparison.warnings(operations)

    def form_suggestions(self) -> dict[str, list[tuple[str, str]]]:
        newest = inputs.completed_trainings().order_by("-created_at").only("parameters", "created_at")
        return {
            "model": [
                (training.pk, f"{subject(training)}, {training.created_at:%Y-%m-%d %H:%M}")
                for training in newest[:MODELS_SUGGESTED]
            ]
        }

    def step_after(self, operation: Operation) -> Step | None:
        if not inputs.is_completed_training(operation):
            return None
        return Step("Backtest this model", self.operation_type, inputs.fields_of_model(operation))

    def seen_period(self, form_data: Mapping[str, str]) -> tuple[datetime, datetime] | None:
        training = (
            inputs.completed_trainings().filter(pk=form_data.get("model", "").replace("\0", "")).first()
        )
        return inputs.seen_period(training) if training else None

    def step_from_strategy(self, digest: str | None, text: str) -> Step | None:
        if digest is None or not strategies.has_rules(text):
            return None
        return Step("Backtest this strategy", self.operation_type, {"strategy": digest})

    def step_from_market_data(self, bars: MarketData) -> Step:
        fields = {"symbol": bars.symbol, "timeframe": bars.timeframe}
        return Step("Backtest on this data", self.operation_type, fields)


def _check_model(needs: strategies.Needs, training: Operation | None) -> None:
    """Raise Invalid unless a strategy with a network has a model and a rules strategy has none."""
    if needs.is_trained and training is None:
        raise invalid(
            "/model", "A backtest of this strategy needs a trained model; set `model` to a training's id."
        )
    if not needs.is_trained and training is not None:
        raise invalid("/model", "A rules strategy has no model; remove `model`.")
