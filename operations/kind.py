"""A kind of operation: how it is requested, prepared, completed and shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from pydantic import BaseModel

from access.problems import Invalid, invalid, pointer, validate
from operations import inputs
from operations.headline import Headline
from operations.presentation.forms import Form
from operations.presentation.metrics import MetricStyle
from operations.presentation.numbers import words
from operations.presentation.shown_results import ShownValue, shown_values
from operations.requests import GenericRequest, Queueing, Submission
from operations.schemas import accepting_schemas

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from django.urls import URLPattern

    from operations.models import MarketData, Operation
    from operations.presentation.charts import Chart
    from worker_agent.protocol import Report


class ResultUnusable(Exception):
    """A worker reported success, but the backend cannot use the result. The message is the reason."""


@dataclass(frozen=True, slots=True)
class Step:
    """A link to the form of a kind, with some of its fields filled."""

    title: str
    operation_type: str
    fields: Mapping[str, str]

    @property
    def query(self) -> str:
        return urlencode(self.fields)


class Kind:
    """The defaults fit a type that only a worker announced; a kind of the product overrides what differs.

    Hooks that read or write rows are called inside the caller's transaction.
    """

    operation_type: str
    """In the database, the API, URLs, forms and commands."""
    title: str
    """On pages: "Backtest"."""
    former_names: ClassVar[tuple[str, ...]] = ()
    """Other spellings that URLs and commands still accept."""
    worker_type: ClassVar[str] = ""
    """Type of the product's workers that run it, if it is not called like the operation type."""
    description: ClassVar[str] = ""
    """One sentence on the page "New operation"."""
    request_model: ClassVar[type[Queueing] | None] = None
    """Validates the parameters of `POST /operations`."""
    parameters_model: ClassVar[type[BaseModel] | None] = None
    """The stored parameters, for the API document."""
    result_model: ClassVar[type[BaseModel] | None] = None
    """The result, for the API document."""
    request_example: ClassVar[Mapping[str, Any] | None] = None
    """An example of the body of the submission, for `GET /operation-types`."""
    submit_path: ClassVar[str] = "/operations"
    """The path of the API to which such operations are submitted."""
    operation_fields: ClassVar[tuple[str, ...]] = ()
    """Fields of the request that contain the id of an operation."""
    form: ClassVar[Form | None] = None
    is_clonable: ClassVar[bool] = False
    is_submitted_by_command: ClassVar[bool] = False
    """`manage.py submit KIND STRATEGY.yaml` exists."""
    imports_market_data: ClassVar[bool] = False
    is_run: ClassVar[bool] = False
    """Its results are ranked on the page of runs."""
    curve_name: ClassVar[str] = ""
    """The name of the values that `run_curve` returns."""
    is_seeded: ClassVar[bool] = False
    """Its results depend on the `seed` of its request."""
    tests_models: ClassVar[bool] = False
    """Its request has a field `model`, the operation whose model it tests."""
    is_brief: ClassVar[bool] = False
    """Runs for about a second while somebody waits: nobody is notified, and the overview leaves it out."""
    is_part: ClassVar[bool] = False
    """Part of something larger, such as a study: lists leave it out unless asked for, and nobody is notified."""
    is_preview: ClassVar[bool] = False
    """Its result is not kept: the cleanup removes it a day after its end, unless another operation needs it."""
    result_template: ClassVar[str] = "operations/result.html"
    has_report: ClassVar[bool] = False
    """Its worker stores a `report.json`, which the page of a result shows."""

    # Requesting

    def build(self, request: Any) -> Submission:
        """Turn a valid `request_model` into a submission. Raises Invalid with a pointer per error."""
        raise NotImplementedError

    def build_generic(self, request: GenericRequest) -> Submission:
        """Turn `POST /operations` into a submission. Raises Invalid with pointers into `/parameters`."""
        if self.request_model is None:
            return self._build_announced(request)
        if request.inputs:
            raise invalid("/inputs", f"Operations of type {self.operation_type} choose their own inputs.")
        queueing = request.model_dump(include=set(Queueing.model_fields), exclude_unset=True)
        try:
            return self.build(validate(self.request_model, {**request.parameters, **queueing}))
        except Invalid as problem:
            for error in problem.errors:
                error["pointer"] = f"/parameters{error['pointer']}"
            raise

    def _build_announced(self, request: GenericRequest) -> Submission:
        schemas = accepting_schemas(self.operation_type, request.parameters)
        marked = inputs.marked(schemas, request.parameters)
        places = {name: pointer(("parameters", name)) for name in marked}
        places |= {name: pointer(("inputs", name)) for name in request.inputs}
        resolved = inputs.find({**marked, **request.inputs}, request.after, places)
        return Submission(
            self.operation_type,
            dict(request.parameters),
            request,
            request.prefer_gpu,
            resolved.files,
            resolved.awaited,
        )

    def api_urls(self) -> "Sequence[URLPattern]":
        """Routes of the kind's own, beside `/operations`."""
        return ()

    def add_arguments(self, parser: "ArgumentParser") -> None:
        """Add the options of `manage.py submit KIND` that only this kind has."""

    def request_from_options(self, options: Mapping[str, Any]) -> Any:
        """Turn options of `manage.py submit KIND` into a `request_model`; `common` has the fields of every kind.

        Raises CommandError and Invalid.
        """
        raise NotImplementedError

    # Running

    def prepare(self, operation: "Operation") -> None:
        """Complete the inputs before an attempt starts. Called with the operation locked, in the claim's transaction."""

    def complete(self, operation: "Operation", report: "Report") -> None:
        """Store the kind's own result of a completed report, in its transaction. Raises ResultUnusable."""

    def deletion_refusal(self, operation: "Operation") -> str:
        """Return the sentence that refuses to delete an ended operation that no other one needs; empty if it may go."""
        return ""

    # Showing

    def headline(self, result: Mapping[str, Any]) -> Headline | None:
        """Summarize a result for a list; None if there is nothing to show."""
        return None

    def shown_values(self, result: Mapping[str, Any]) -> list[ShownValue]:
        """Return the values of a result as text; nested ones have dotted names."""
        return shown_values(result)

    def default_parameters(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the defaults of parameters that the submission left out; empty where the stored ones are complete."""
        return {}

    def result_context(self, operation: "Operation") -> dict[str, Any]:
        """Context of `result_template` without the report."""
        return {}

    def report_context(self, operation: "Operation", report: dict[str, Any]) -> dict[str, Any]:
        """Further context of `result_template`, from a stored `report.json`; any error becomes a sentence on the page."""
        return {}

    def run_metrics(self, operation: "Operation") -> Mapping[str, Any]:
        """Return the fields of `RunMetrics` of a completed run; values that are not numbers are left out."""
        return {}

    def run_curve(self, operation: "Operation") -> Sequence[Any]:
        """Return the few points of a completed run's curve, such as its equity."""
        return []

    def metric_style(self, name: str) -> MetricStyle:
        """Return how a metric of the result is displayed; nested names are dotted (`test.accuracy`)."""
        return MetricStyle(words(name))

    def comparison_charts(self, operations: "Sequence[Operation]") -> "list[Chart]":
        """Return charts over several operations of any kind; those of other kinds have no curve."""
        return []

    def comparison_warnings(self, operations: "Sequence[Operation]") -> list[str]:
        """Return sentences about results of this kind whose metrics cannot be compared; operations may be of any kind."""
        return []

    def load_form(self) -> Form | None:
        """Return the form of the submission; None if there is none."""
        return self.form

    def form_suggestions(self) -> dict[str, list[tuple[str, str]]]:
        """Return field name -> (value, explanation) pairs of this kind's form."""
        return {}

    def step_after(self, operation: "Operation") -> Step | None:
        """Return a form of this kind that can follow `operation`, which may be of any kind."""
        return None

    def seen_period(self, form_data: "Mapping[str, str]") -> "tuple[datetime, datetime] | None":
        """Return the first and last bar that the model chosen in this kind's form was trained on, if it is known."""
        return None

    def step_from_market_data(self, bars: "MarketData") -> Step | None:
        return None

    def step_from_strategy(self, digest: str | None, text: str) -> Step | None:
        """Return a form of this kind for a stored strategy and its text, or for a new one if `digest` is None."""
        return None
