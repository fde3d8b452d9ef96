"""`POST /training/start`."""

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from operations.api import examples
from operations.api.base import IDEMPOTENCY_KEY, start
from operations.api.serializers import SubmittedSerializer
from operations.kind import kind_of
from operations.kinds.training.request import TrainingRequest

EXAMPLE: dict[str, Any] = {
    "strategy_yaml": examples.STRATEGY,
    "start_date": "2000-03-01",
    "end_date": "2009-12-31",
    "seed": 42,
}


class StartTraining(APIView):
    example = EXAMPLE

    @extend_schema(
        request=TrainingRequest,
        responses={202: SubmittedSerializer},
        parameters=[IDEMPOTENCY_KEY],
        examples=[examples.request_example("A training of two symbols", EXAMPLE), examples.ACCEPTED],
    )
    def post(self, request: Request) -> Response:
        """Train a model. The answer contains the URL to follow it."""
        return start(request, TrainingRequest, kind_of("training").build)


urlpatterns = [path("training/start", StartTraining.as_view(), name="start-training")]
