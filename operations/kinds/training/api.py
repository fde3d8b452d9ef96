"""`POST /training/start`."""

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from operations import example_requests
from operations.api import examples
from operations.api.base import IDEMPOTENCY_KEY, start
from operations.api.serializers import SubmittedSerializer
from operations.kinds.training.request import TrainingRequest
from operations.registered_kinds import kind_of


class StartTraining(APIView):
    example = example_requests.TRAINING

    @extend_schema(
        request=TrainingRequest,
        responses={202: SubmittedSerializer},
        parameters=[IDEMPOTENCY_KEY],
        examples=[
            examples.request_example("A training of two symbols", example_requests.TRAINING),
            examples.ACCEPTED,
        ],
    )
    def post(self, request: Request) -> Response:
        """Train a model. The answer contains the URL to follow it."""
        return start(request, TrainingRequest, kind_of("training").build)


urlpatterns = [path("training/start", StartTraining.as_view(), name="start-training")]
