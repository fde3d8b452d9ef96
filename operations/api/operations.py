"""The API for people and their programs: submit, follow, cancel, try again."""

import hashlib
from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.problems import Conflict, CursorPagination
from operations import interventions, lifecycle, progress
from operations.api import examples
from operations.api.base import IDEMPOTENCY_KEY, found, person, since, start
from operations.api.filters import OperationFilter
from operations.api.serializers import (
    EventSerializer,
    LogLineSerializer,
    MetricPointSerializer,
    OperationSerializer,
    SubmittedSerializer,
    operations,
)
from operations.kind import kind_of
from operations.models import Operation
from operations.requests import GenericRequest, Submission

JSON = JSONRenderer()
CURSOR = [
    OpenApiParameter("cursor", int, description="only what is newer; `next_cursor` of the last answer"),
    OpenApiParameter("limit", int),
]


def page_of(name: str, of: type[serializers.BaseSerializer[Any]]) -> Any:
    return inline_serializer(name, {"results": of(many=True), "next_cursor": serializers.IntegerField()})


def build_submission(request: GenericRequest) -> Submission:
    """For a type that a worker has announced; the kinds of this product validate it as their own routes do."""
    return kind_of(request.operation_type).build_generic(request)


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
        return start(request, GenericRequest, build_submission)


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
