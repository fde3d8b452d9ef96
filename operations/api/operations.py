"""The operations API for people and their programs: submit, follow, cancel, retry."""

import hashlib
from functools import cached_property
from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.problems import NewestFirst, body, validate
from operations import example_requests, interventions, labels, progress, watching
from operations.actors import Actor
from operations.api import examples
from operations.api.base import (
    IDEMPOTENCY_KEY,
    MAX_ID,
    MAX_PAGE,
    PAGE,
    changing,
    cursor_page,
    get_or_404,
    integer_parameter,
    operation_response,
    start,
)
from operations.api.chosen_fields import (
    FIELDS_PARAMETER,
    ChosenFieldsSerializer,
    context_of,
    read_fields,
    rows_with_fields,
)
from operations.api.filters import OperationFilter, rows_of_list
from operations.api.serializers import (
    EventSerializer,
    LogLineSerializer,
    MetricPointSerializer,
    OperationDetailSerializer,
    OperationSerializer,
    SubmittedSerializer,
)
from operations.models import Operation
from operations.registered_kinds import kind_of
from operations.requests import GenericRequest, Submission
from operations.waiting import explain_waits

JSON = JSONRenderer()
CURSOR = [
    OpenApiParameter(
        "cursor",
        {"type": "integer", "minimum": 0, "maximum": MAX_ID, "default": 0},
        description="only newer rows; the `next_cursor` of the last response",
    ),
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": PAGE}),
]


def page_schema(name: str, of: type[serializers.BaseSerializer[Any]]) -> Any:
    return inline_serializer(name, {"results": of(many=True), "next_cursor": serializers.IntegerField()})


def build_submission(request: GenericRequest) -> Submission:
    """Build an operation of any announced type; registered kinds validate it as their own routes do."""
    return kind_of(request.operation_type).build_generic(request)


class OperationList(ListAPIView[Operation]):
    serializer_class = OperationSerializer
    pagination_class = NewestFirst
    filterset_class = OperationFilter
    example = example_requests.ANY_TYPE

    @cached_property
    def fields(self) -> frozenset[str]:
        return read_fields(self.request.query_params)

    def get_queryset(self) -> Any:
        return rows_with_fields(rows_of_list(self.request.query_params), self.fields)

    def paginate_queryset(self, queryset: Any) -> Any:
        page = super().paginate_queryset(queryset) or []
        if "waiting_reason" in self.fields:
            explain_waits(page)
        return page

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        if not args:  # for the API document and the browsable API's form
            return super().get_serializer(**kwargs)
        (page,) = args
        context = {**self.get_serializer_context(), **context_of(page, self.fields)}
        return ChosenFieldsSerializer(page, many=True, context=context)

    @extend_schema(parameters=[FIELDS_PARAMETER])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List operations, newest first.

        Without `fields`, a row has all fields but `parameters`, `result` and the computed ones.
        """
        return super().get(request, *args, **kwargs)

    @extend_schema(
        request=GenericRequest,
        responses={202: SubmittedSerializer},
        parameters=[IDEMPOTENCY_KEY],
        examples=[
            examples.request_example("An operation of a custom worker", example_requests.ANY_TYPE),
            examples.ACCEPTED,
        ],
    )
    def post(self, request: Request) -> Response:
        """Submit an operation of any type that a worker has announced."""
        return start(request, GenericRequest, build_submission)


def cancel(request: Request, operation_id: str) -> Response:
    """Cancel the operation. Raises NotFound, Conflict."""
    reason = request.query_params.get("reason", "").replace("\x00", "")
    with changing(operation_id):
        interventions.cancel(operation_id, Actor.from_request(request), reason)
    return operation_response(request, operation_id, status.HTTP_202_ACCEPTED)


class OperationDetail(APIView):
    @extend_schema(
        parameters=[
            OpenApiParameter(
                "wait",
                {"type": "integer", "minimum": 0, "maximum": watching.MAX_WAIT_S, "default": 0},
                description="seconds to wait for the end of the operation, or with `If-None-Match` for a change",
            ),
            OpenApiParameter(
                "Retry-After",
                int,
                OpenApiParameter.HEADER,
                response=[200, 304],
                description="seconds until the next request, if `wait` was not possible because too many requests wait",
            ),
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
        """Return the operation. While it runs, its progress is at most a second old.

        With `wait`, answer when it has ended or, with `If-None-Match`, when it differs from that state; after `wait`
        seconds as it is. If too many requests wait already, answer at once with `Retry-After`.
        """
        seconds = integer_parameter(request, "wait", 0, 0, watching.MAX_WAIT_S)
        if not seconds:
            return self._answer(request, operation_id)
        with watching.waiter() as is_free:
            if is_free:
                self._wait(request, operation_id, seconds)
            response = self._answer(request, operation_id)
        if not is_free:
            response.headers["Retry-After"] = "1"
        return response

    def _wait(self, request: Request, operation_id: str, seconds: int) -> None:
        get_or_404(operation_id)
        if "If-None-Match" not in request.headers:
            watching.wait_until_ended(operation_id, seconds)
            return
        marks = watching.marks_of(operation_id)
        if self._answer(request, operation_id).status_code == status.HTTP_304_NOT_MODIFIED:
            watching.wait_until_changed(operation_id, marks, seconds)

    def _answer(self, request: Request, operation_id: str) -> Response:
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
        with changing(operation_id):
            labels.label(operation_id, change, Actor.from_request(request))
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
        run_again = interventions.resume if self.resumes else interventions.retry
        with changing(operation_id):
            run_again(operation_id, Actor.from_request(request))
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
