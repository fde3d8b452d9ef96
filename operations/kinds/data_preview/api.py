"""`POST /market-data/preview`: how an import would read a file."""

from dataclasses import replace
from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.body_limits import FORM_OVERHEAD, accept_bodies
from access.json_bodies import BoundedJSONParser
from access.problems import Invalid, Unavailable
from operations import watching
from operations.api.base import accepted_response, submitter
from operations.api.serializers import SubmittedSerializer
from operations.kinds.data_import.upload_schema import upload_schema
from operations.kinds.data_import.uploads import receive
from operations.kinds.data_preview.kind import build
from operations.kinds.data_preview.serializers import PreviewSerializer
from operations.models import Operation
from operations.received_files import MAX_FILE_BYTES
from operations.states import Status
from operations.submission import submit

LIMIT_S = 10.0
"""A preview that takes longer is answered with its operation."""
_POLL_S = 0.03
"""A person waits, and most previews take 0.2 to 0.5 s."""


@accept_bodies(MAX_FILE_BYTES + FORM_OVERHEAD)
class MarketDataPreview(APIView):
    parser_classes = (MultiPartParser, FormParser, BoundedJSONParser)

    @extend_schema(
        request={"multipart/form-data": upload_schema(file_required=True)},
        responses={200: PreviewSerializer, 202: SubmittedSerializer},
    )
    def post(self, request: Request) -> Response:
        """Shows the first and last rows as an import would read them, with layout, zone, calendar and warnings.

        422 if an import would refuse the file, with the option that settles it; 503 if no worker is idle. An import
        can name the preview in `preview` in place of `file`.
        """
        upload = receive(request)
        # Without the idempotency key, which belongs to the import that follows.
        by = replace(submitter(request, {}), idempotency_key="", request_sha256="")
        operation = wait_for_end(submit(build(upload.request, upload.file, upload.filename), by).pk)
        if not operation.is_final:
            return accepted_response(request, operation)
        if operation.status != Status.COMPLETED:
            raise Unavailable(f"The preview failed: {operation.error_message or operation.status}")
        result: dict[str, Any] = dict(operation.result or {})
        if not result.pop("valid", False):
            detail, option = str(result.get("error", "")), result.get("option")
            error = {"pointer": f"/{option or 'file'}", "detail": detail}
            raise Invalid(detail, errors=[error], preview=operation.pk)
        return Response({"preview": operation.pk, **result})


def wait_for_end(operation_id: str) -> Operation:
    """Return the operation when it has ended, or as it is: after the limit, and at once if too many requests wait."""
    with watching.waiter() as is_free:
        if is_free:
            watching.wait_until_ended(operation_id, LIMIT_S, poll_s=_POLL_S)
    return Operation.objects.get(pk=operation_id)


urlpatterns = [path("market-data/preview", MarketDataPreview.as_view(), name="market-data-preview")]
