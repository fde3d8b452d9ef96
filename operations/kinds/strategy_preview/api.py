"""`POST /strategies/preview`: what a strategy sees and does on the newest bars."""

from dataclasses import replace
from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.problems import Invalid, Unavailable, body, validate
from operations.api.base import accepted_response, submitter
from operations.api.serializers import SubmittedSerializer
from operations.kinds.data_preview.api import wait_for_end
from operations.kinds.strategy_preview.kind import PreviewRequest, build
from operations.kinds.strategy_preview.serializers import StrategyPreviewSerializer
from operations.states import Status
from operations.submission import submit


class StrategyPreviewView(APIView):
    @extend_schema(
        request=PreviewRequest, responses={200: StrategyPreviewSerializer, 202: SubmittedSerializer}
    )
    def post(self, request: Request) -> Response:
        """Compute a strategy on its newest bars, at most 4,000, without training or trading it.

        422 if the strategy is not valid or cannot run on these bars; 503 if no worker is idle.
        """
        wanted = validate(PreviewRequest, body(request))
        by = replace(submitter(request, {}), idempotency_key="", request_sha256="")
        operation = wait_for_end(submit(build(wanted), by).pk)
        if not operation.is_final:
            return accepted_response(request, operation)
        if operation.status != Status.COMPLETED:
            raise Unavailable(f"The preview failed: {operation.error_message or operation.status}")
        result: dict[str, Any] = dict(operation.result or {})
        if not result.pop("valid", False):
            detail = str(result.get("error", ""))
            raise Invalid(detail, errors=[{"pointer": "/symbol", "detail": detail}])
        return Response(result)


urlpatterns = [path("strategies/preview", StrategyPreviewView.as_view(), name="strategy-preview")]
