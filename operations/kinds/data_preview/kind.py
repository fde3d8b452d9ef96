"""Data preview: a worker shows how an import would read a file. Nothing is stored as market data.

The backend parses nothing, so the preview is an operation like any other: fenced, limited and cancelled like one. It runs
in a process that its worker forks from loaded libraries, and takes a few hundredths of a second.
"""

from typing import TYPE_CHECKING, Any, ClassVar

from access.problems import invalid
from operations.kind import Kind
from operations.kinds.data_import.kind import parameters_of
from operations.kinds.data_import.request import ImportParameters, ImportRequest
from operations.models import StoredFile
from operations.requests import LARGEST, GenericRequest, Queueing, Submission

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.urls import URLPattern

OPERATION_TYPE = "data_preview"


def build(request: ImportRequest, file: StoredFile, filename: str) -> Submission:
    """Somebody waits for the preview, so it starts at once on an idle worker or not at all."""
    parameters: dict[str, Any] = parameters_of(request, filename)
    queueing = Queueing(priority=LARGEST, queue=False)
    return Submission(OPERATION_TYPE, parameters, queueing, inputs={"raw": file.sha256})


class DataPreview(Kind):
    operation_type = OPERATION_TYPE
    worker_type = "backtesting"
    title = "Data preview"
    submit_path: ClassVar = "/market-data/preview"
    parameters_model: ClassVar = ImportParameters
    is_brief: ClassVar = True
    is_preview: ClassVar = True

    def build_generic(self, request: GenericRequest) -> Submission:
        raise invalid("/operation_type", "A preview needs its file: use POST /market-data/preview.")

    def api_urls(self) -> "Sequence[URLPattern]":
        from operations.kinds.data_preview.api import urlpatterns

        return urlpatterns
