"""The API for people and their programs: submit, follow, cancel, try again."""

import hashlib
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from pydantic import BaseModel
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.parsers import BaseParser, FormParser, JSONParser, MultiPartParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.problems import Conflict, CursorPagination, body, checked
from access.roles import Role
from operations import interventions, lifecycle, orders, progress, strategies
from operations.api import examples
from operations.api.base import IDEMPOTENCY_KEY, accepted, found, person, since, submitted, submitter
from operations.api.filters import OperationFilter
from operations.api.serializers import (
    EventSerializer,
    LogLineSerializer,
    MetricPointSerializer,
    OperationSerializer,
    SubmittedSerializer,
    operations,
)
from operations.models import Operation
from operations.requests import BacktestRequest, GenericRequest, TrainingRequest
from operations.submission import repeated
from workers.strategy.catalog import catalog_as_data
from workers.strategy.indicator_catalog import INDICATORS

Asked = TypeVar("Asked", bound=BaseModel)
JSON = JSONRenderer()
CURSOR = [
    OpenApiParameter("cursor", int, description="only what is newer; `next_cursor` of the last answer"),
    OpenApiParameter("limit", int),
]


def page_of(name: str, of: type[serializers.BaseSerializer[Any]]) -> Any:
    return inline_serializer(name, {"results": of(many=True), "next_cursor": serializers.IntegerField()})


def started(request: Request, kind: type[Asked], order_of: Callable[[Asked], orders.Order]) -> Response:
    """What is asked for once is started once: a repetition is answered before its body is judged anew."""
    data = body(request)
    by = submitter(request, data)
    if (before := repeated(by)) is not None:
        return accepted(request, before)
    return submitted(request, order_of(checked(kind, data)), by)


class StartTraining(APIView):
    example = examples.TRAINING

    @extend_schema(
        request=TrainingRequest,
        responses={202: SubmittedSerializer},
        parameters=[IDEMPOTENCY_KEY],
        examples=[examples.asked("A training of two symbols", examples.TRAINING), examples.ACCEPTED],
    )
    def post(self, request: Request) -> Response:
        """Trains a model. The answer says where to follow it."""
        return started(request, TrainingRequest, orders.training)


class StartBacktest(APIView):
    example = examples.BACKTEST

    @extend_schema(
        request=BacktestRequest,
        responses={202: SubmittedSerializer},
        parameters=[IDEMPOTENCY_KEY],
        examples=[examples.asked("A trained model, with a stop", examples.BACKTEST), examples.ACCEPTED],
    )
    def post(self, request: Request) -> Response:
        """Backtests a trained model, or the model of a training named in `after`."""
        return started(request, BacktestRequest, orders.backtest)


class NewestFirst(CursorPagination):
    ordering = ("-created_at", "-operation_id")  # type: ignore[assignment]  # DRF takes several


class OperationList(ListAPIView[Operation]):
    serializer_class = OperationSerializer
    pagination_class = NewestFirst
    filterset_class = OperationFilter
    example = examples.ANY_TYPE

    def get_queryset(self) -> Any:
        return operations()

    @extend_schema(
        request=GenericRequest,
        responses={202: SubmittedSerializer},
        parameters=[IDEMPOTENCY_KEY],
        examples=[examples.asked("Work of a worker of one's own", examples.ANY_TYPE), examples.ACCEPTED],
    )
    def post(self, request: Request) -> Response:
        """Starts an operation of any type that a worker has announced."""
        return started(request, GenericRequest, orders.generic)


def cancelled(request: Request, operation_id: str) -> Response:
    reason = request.query_params.get("reason", "").replace("\x00", "")
    found(Operation.objects.all(), operation_id)
    try:
        interventions.cancel(operation_id, person(request), reason)
    except lifecycle.WrongState as error:
        raise Conflict(str(error)) from error
    return detail(request, operation_id, status.HTTP_202_ACCEPTED)


def detail(request: Request, operation_id: str, code: int = status.HTTP_200_OK) -> Response:
    operation = found(operations(), operation_id)
    return Response(OperationSerializer(operation, context={"request": request}).data, status=code)


class OperationDetail(APIView):
    @extend_schema(
        parameters=[
            OpenApiParameter(
                "If-None-Match", str, OpenApiParameter.HEADER, description="the ETag of the last answer"
            ),
            OpenApiParameter(
                "ETag", str, OpenApiParameter.HEADER, response=[200, 304], description="of this state"
            ),
        ],
        responses={200: OperationSerializer, 304: OpenApiResponse(description="Nothing has changed.")},
    )
    def get(self, request: Request, operation_id: str) -> Response:
        """The operation; while it runs, its progress is at most a second old."""
        progress.refresh(found(Operation.objects.all(), operation_id))
        answer = detail(request, operation_id)
        digest = hashlib.sha256(JSON.render(answer.data)).hexdigest()[:32]
        etag = f'W/"{digest}"'
        if etag in request.headers.get("If-None-Match", "").split(", "):
            return Response(status=status.HTTP_304_NOT_MODIFIED, headers={"ETag": etag})
        answer.headers["ETag"] = etag
        return answer

    @extend_schema(parameters=[OpenApiParameter("reason", str)], responses={202: OperationSerializer})
    def delete(self, request: Request, operation_id: str) -> Response:
        """The same as `/cancel`."""
        return cancelled(request, operation_id)


class Cancel(APIView):
    @extend_schema(parameters=[OpenApiParameter("reason", str)], responses={202: OperationSerializer})
    def delete(self, request: Request, operation_id: str) -> Response:
        """Ends it: at once where it waits, else as soon as its worker has. 409 where it has ended."""
        return cancelled(request, operation_id)


class Again(APIView):
    """FAILED or CANCELLED: once more."""

    resumes: bool

    @extend_schema(request=None, responses={202: OperationSerializer})
    def post(self, request: Request, operation_id: str) -> Response:
        found(Operation.objects.all(), operation_id)
        again = interventions.resume if self.resumes else interventions.retry
        try:
            again(operation_id, person(request))
        except lifecycle.WrongState as error:
            raise Conflict(str(error)) from error
        return detail(request, operation_id, status.HTTP_202_ACCEPTED)


class Retry(Again):
    resumes = False


class Resume(Again):
    resumes = True


class Metrics(APIView):
    @extend_schema(parameters=CURSOR, responses=page_of("MetricPage", MetricPointSerializer))
    def get(self, request: Request, operation_id: str) -> Response:
        operation = progress.refresh(found(Operation.objects.all(), operation_id))
        return since(request, operation.metric_points.all(), MetricPointSerializer)


class Logs(APIView):
    @extend_schema(parameters=CURSOR, responses=page_of("LogPage", LogLineSerializer))
    def get(self, request: Request, operation_id: str) -> Response:
        operation = progress.refresh(found(Operation.objects.all(), operation_id))
        return since(request, operation.log_lines.all(), LogLineSerializer)


class Events(APIView):
    @extend_schema(parameters=CURSOR, responses=page_of("EventPage", EventSerializer))
    def get(self, request: Request, operation_id: str) -> Response:
        return since(request, found(Operation.objects.all(), operation_id).events.all(), EventSerializer)


class TextParser(BaseParser):
    """A strategy sent as it is: any type of content that is no form and no JSON."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return stream.read().decode("utf-8", "replace")


class Catalog(APIView):
    @extend_schema(responses={(200, "application/json"): {"type": "object"}})
    def get(self, request: Request) -> Response:
        """What a strategy may name: timeframes, price sources, indicators with their parameters, fuzzy sets."""
        return Response(catalog_as_data(INDICATORS))


class ValidateStrategy(APIView):
    roles: ClassVar = {"POST": Role.VIEWER}
    parser_classes = (JSONParser, FormParser, MultiPartParser, TextParser)

    @extend_schema(
        request={"application/json": {"type": "object", "properties": {"strategy_yaml": {"type": "string"}}}},
        responses={(200, "application/json"): {"type": "object"}},
    )
    def post(self, request: Request) -> Response:
        """YAML text, or `{"strategy_yaml"}`: what the strategy needs, or 422 with line and column of each error."""
        data: object = request.data
        text = data if isinstance(data, str) else body(request).get("strategy_yaml")
        needs = strategies.read(text if isinstance(text, str) else "", "/strategy_yaml")
        return Response(
            {
                "valid": True,
                "name": needs.name,
                "inputs": list(needs.inputs),
                "warnings": list(needs.warnings),
                "symbols": list(needs.symbols),
                "timeframes": list(needs.timeframes),
            }
        )
