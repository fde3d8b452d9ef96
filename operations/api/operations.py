"""The operations API for people and their programs: submit, follow, cancel, retry."""

import hashlib
from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.problems import Conflict, CursorPagination, body, validate
from operations import interventions, labels, lifecycle, progress
from operations.actors import Actor
from operations.api import examples
from operations.api.base import IDEMPOTENCY_KEY, cursor_page, get_or_404, operation_response, start
from operations.api.filters import OperationFilter, rows_of_list
from operations.api.serializers import (
    EventSerializer,
    LogLineSerializer,
    MetricPointSerializer,
    OperationDetailSerializer,
    OperationSerializer,
    SubmittedSerializer,
    operations_for_serializer,
)
from operations.kind import kind_of
from operations.models import Operation
from operations.requests import GenericRequest, Submission
from operations.waiting import explain_waits

JSON = JSONRenderer()
CURSOR = [
    OpenApiParameter("cursor", int, description="only newer rows; the `next_cursor` of the last response"),
    OpenApiParameter("limit", int),
]


def page_schema(name: str, of: type[serializers.BaseSerializer[Any]]) -> Any:
    return inline_serializer(name, {"results": of(many=True), "next_cursor": serializers.IntegerField()})


def build_submission(request: GenericRequest) -> Submission:
    """Build an operation of any announced type; registered kinds validate it as their own routes do."""
    return kind_of(request.operation_type).build_generic(request)


class NewestFirst(CursorPagination):
    ordering = ("-created_at", "-operation_id")  # type: ignore[assignment]  # DRF takes several


class OperationList(ListAPIView[Operation]):
    serializer_class = OperationSerializer
    pagination_class = NewestFirst
    filterset_class = OperationFilter
    example = examples.ANY_TYPE

    def get_queryset(self) -> Any:
        return operations_for_serializer(rows_of_list(self.request.query_params)).defer("note")

    def paginate_queryset(self, queryset: Any) -> Any:
        page = super().paginate_queryset(queryset)
        explain_waits(page or ())
        return page

    @extend_schema(
        request=GenericRequest,
        responses={202: SubmittedSerializer},
        parameters=[IDEMPOTENCY_KEY],
        examples=[
            examples.request_example("An operation of a custom worker", examples.ANY_TYPE),
            examples.ACCEPTED,
        ],
    )
    def post(self, request: Request) -> Response:
        """Submit an operation of any type that a worker has announced."""
        return start(request, GenericRequest, build_submission)


def cancel(request: Request, operation_id: str) -> Response:
    """Cancel the operation. Raises NotFound, Conflict."""
    reason = request.query_params.get("reason", "").replace("\x00", "")
    get_or_404(operation_id)
    try:
        interventions.cancel(operation_id, Actor.from_request(request), reason)
    except lifecycle.WrongState as error:
        raise Conflict(str(error)) from error
    return operation_response(request, operation_id, status.HTTP_202_ACCEPTED)


class OperationDetail(APIView):
    @extend_schema(
        parameters=[
            OpenApiParameter(
                "If-None-Match", str, OpenApiParameter.HEADER, description="the ETag of the last response"
            ),
            OpenApiParameter(
                "ETag",
                str,
                OpenApiParameter.HEADER,
                response=[200, 304],
                description="identifies the returned state",
            ),
        ],
        responses={200: OperationDetailSerializer, 304: OpenApiResponse(description="Nothing has changed.")},
    )
    def get(self, request: Request, operation_id: str) -> Response:
        """Return the operation. While it runs, its progress is at most a second old."""
        progress.refresh(get_or_404(operation_id))
        response = operation_response(request, operation_id)
        digest = hashlib.sha256(JSON.render(response.data)).hexdigest()[:32]
        etag = f'W/"{digest}"'
        if etag in request.headers.get("If-None-Match", "").split(", "):
            return Response(status=status.HTTP_304_NOT_MODIFIED, headers={"ETag": etag})
        response.headers["ETag"] = etag
        return response

    @extend_schema(request=labels.Labels, responses=OperationDetailSerializer)
    def patch(self, request: Request, operation_id: str) -> Response:
        """Change title, note, tags, `archived` or `dismissed`; fields that are not given keep their values. `tags` replaces all tags.

        409 if an operation that has not ended is to be archived, or one that has not failed to be dismissed.
        """
        change = validate(labels.Labels, body(request))
        get_or_404(operation_id)
        try:
            labels.label(operation_id, change, Actor.from_request(request))
        except lifecycle.WrongState as error:
            raise Conflict(str(error)) from error
        return operation_response(request, operation_id)

    @extend_schema(parameters=[OpenApiParameter("reason", str)], responses={202: OperationDetailSerializer})
    def delete(self, request: Request, operation_id: str) -> Response:
        """Cancel the operation, like `/cancel`."""
        return cancel(request, operation_id)


class Cancel(APIView):
    @extend_schema(parameters=[OpenApiParameter("reason", str)], responses={202: OperationDetailSerializer})
    def delete(self, request: Request, operation_id: str) -> Response:
        """Cancel the operation: immediately if it is waiting, otherwise when its worker has stopped it. 409 if it has ended."""
        return cancel(request, operation_id)


class RunAgain(APIView):
    """Queue a FAILED or CANCELLED operation again."""

    resumes: bool

    @extend_schema(request=None, responses={202: OperationDetailSerializer})
    def post(self, request: Request, operation_id: str) -> Response:
        get_or_404(operation_id)
        run_again = interventions.resume if self.resumes else interventions.retry
        try:
            run_again(operation_id, Actor.from_request(request))
        except lifecycle.WrongState as error:
            raise Conflict(str(error)) from error
        return operation_response(request, operation_id, status.HTTP_202_ACCEPTED)


class Retry(RunAgain):
    resumes = False


class Resume(RunAgain):
    resumes = True


class Metrics(APIView):
    @extend_schema(parameters=CURSOR, responses=page_schema("MetricPage", MetricPointSerializer))
    def get(self, request: Request, operation_id: str) -> Response:
        operation = progress.refresh(get_or_404(operation_id))
        return cursor_page(request, operation.metric_points.all(), MetricPointSerializer)


class Logs(APIView):
    @extend_schema(parameters=CURSOR, responses=page_schema("LogPage", LogLineSerializer))
    def get(self, request: Request, operation_id: str) -> Response:
        operation = progress.refresh(get_or_404(operation_id))
        return cursor_page(request, operation.log_lines.all(), LogLineSerializer)


class Events(APIView):
    @extend_schema(parameters=CURSOR, responses=page_schema("EventPage", EventSerializer))
    def get(self, request: Request, operation_id: str) -> Response:
        return cursor_page(request, get_or_404(operation_id).events.all(), EventSerializer)
