"""Data import: a worker checks a file of bars, and the bars become the current ones of their symbol and timeframe."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from access.problems import invalid
from operations.headline import Headline
from operations.kind import Kind
from operations.kinds.data_import.form import FORM
from operations.kinds.data_import.request import READING_OPTIONS, ImportParameters, ImportRequest
from operations.kinds.data_import.result import ImportResult, find_replacement, store
from operations.models import Operation, StoredFile
from operations.presentation.numbers import dig, short
from operations.requests import GenericRequest, Queueing, Submission
from worker_agent.protocol import Report

if TYPE_CHECKING:
    from django.urls import URLPattern

OPERATION_TYPE = "data_import"
MAX_FILENAME = 200


def parameters_of(request: ImportRequest, filename: str) -> dict[str, Any]:
    """Return the parameters that the worker gets."""
    return {
        "symbol": request.symbol,
        "timeframe": request.timeframe,
        "adjust": request.adjust,
        **request.model_dump(include=set(READING_OPTIONS), exclude_none=True),
        "filename": filename.replace("\x00", "")[-MAX_FILENAME:],
    }


def build(request: ImportRequest, file: StoredFile, filename: str) -> Submission:
    parameters = parameters_of(request, filename)
    return Submission(
        OPERATION_TYPE, parameters, Queueing(priority=request.priority), inputs={"raw": file.sha256}
    )


class DataImport(Kind):
    operation_type = OPERATION_TYPE
    worker_type = "backtesting"
    title = "Data import"
    former_names: ClassVar = ("import",)
    submit_path: ClassVar = "/market-data"
    parameters_model: ClassVar = ImportParameters
    result_model: ClassVar = ImportResult
    description: ClassVar = "Import bars of a symbol from CSV, Parquet, Excel, Feather or JSON. The file is validated and its quality reported."
    form: ClassVar = FORM
    imports_market_data: ClassVar = True
    result_template: ClassVar = "data_import/result.html"

    def build_generic(self, request: GenericRequest) -> Submission:
        raise invalid("/operation_type", "An import needs its file: use POST /market-data.")

    def api_urls(self) -> "Sequence[URLPattern]":
        from operations.kinds.data_import.api import urlpatterns

        return urlpatterns

    def complete(self, operation: Operation, report: Report) -> None:
        store(operation, report)

    def result_context(self, operation: Operation) -> dict[str, Any]:
        return {"replacement": find_replacement(operation)}

    def headline(self, result: Mapping[str, Any]) -> Headline | None:
        value = dig(result, "rows")
        return Headline("bars", short(value)) if isinstance(value, int | float) else None
