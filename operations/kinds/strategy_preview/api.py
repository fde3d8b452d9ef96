"""`POST /strategies/preview`: what a strategy sees and does on the newest bars."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.problems import Invalid, Unavailable, body, validate
from operations import interventions
from operations.api.base import accepted_response, submitter
from operations.api.serializers import SubmittedSerializer
from operations.insertion import Submitter
from operations.kinds.data_preview.api import wait_for_end
from operations.kinds.strategy_preview.kind import OPERATION_TYPE, PreviewRequest, build
from operations.kinds.strategy_preview.serializers import StrategyPreviewSerializer
from operations.lifecycle import WrongState
from operations.models import Operation
from operations.states import ACTIVE, Status
from operations.submission import submit


class StrategyPreviewView(APIView):
    @extend_schema(
        request=PreviewRequest, responses={200: StrategyPreviewSerializer, 202: SubmittedSerializer}
    )
    def post(self, request: Request) -> Response:
        """Compute a strategy on its newest bars, at most 4,000, without training or trading it.

        422 if the strategy is not valid or cannot run on these bars; 503 if no worker is idle. `replaces` cancels an
        earlier preview of yours that nobody waits for any more.
        """
        preview_request = validate(PreviewRequest, body(request))
        by = replace(submitter(request, {}), idempotency_key="", request_sha256="")
        if preview_request.replaces:
            _cancel(preview_request.replaces, by)
        operation = wait_for_end(submit(build(preview_request), by).pk)
        if not operation.is_final:
            return accepted_response(request, operation)
        if operation.status != Status.COMPLETED:
            raise Unavailable(f"The preview failed: {operation.error_message or operation.status}")
        result: dict[str, Any] = dict(operation.result or {})
        if not result.pop("valid", False):
            detail = str(result.get("error", ""))
            raise Invalid(detail, errors=[{"pointer": "/symbol", "detail": detail}])
        return Response(result)


def _cancel(operation_id: str, by: Submitter) -> None:
    """Free the worker of an earlier preview of the same user; without effect on anything else."""
    earlier = Operation.objects.filter(
        pk=operation_id.replace("\0", ""),
        operation_type=OPERATION_TYPE,
        created_by=by.user,
        status__in=ACTIVE - {Status.CANCELLING},
    )
    if earlier.exists():
        with suppress(WrongState):  # it has ended since
            interventions.cancel(operation_id, by.actor, "a newer preview replaces it")


urlpatterns = [path("strategies/preview", StrategyPreviewView.as_view(), name="strategy-preview")]
