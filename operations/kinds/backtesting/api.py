"""`POST /backtests/start`."""

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from operations import example_requests
from operations.api import examples
from operations.api.base import IDEMPOTENCY_KEY, start
from operations.api.serializers import SubmittedSerializer
from operations.kinds.backtesting.request import BacktestRequest
from operations.registered_kinds import kind_of

RULES_EXAMPLE: dict[str, Any] = {
    "strategy_yaml": example_requests.RULES_STRATEGY,
    "symbol": "AAPL",
    "start_date": "2010-01-01",
}


class StartBacktest(APIView):
    example = example_requests.BACKTEST

    @extend_schema(
        request=BacktestRequest,
        responses={202: SubmittedSerializer},
        parameters=[IDEMPOTENCY_KEY],
        examples=[
            examples.request_example("A trained model, with a stop", example_requests.BACKTEST),
            examples.request_example("A rules strategy, without a model", RULES_EXAMPLE),
            examples.ACCEPTED,
        ],
    )
    def post(self, request: Request) -> Response:
        """Backtest a trained model, the model of a training named in `after`, or a rules strategy without a model."""
        return start(request, BacktestRequest, kind_of("backtesting").build)


urlpatterns = [path("backtests/start", StartBacktest.as_view(), name="start-backtest")]
