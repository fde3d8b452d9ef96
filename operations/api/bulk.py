"""`POST /operations/cancel`, `/retry`, `/label`, `/delete` and `/restore`: act on a selection of operations."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import extend_schema
from pydantic import BaseModel, ConfigDict, Field, model_validator
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.problems import Invalid, body, validate
from operations.actors import Actor
from operations.api.filters import OperationFilter
from operations.bulk import (
    CANCEL,
    DELETE,
    RESTORE,
    RESUME,
    RETRY,
    BulkAction,
    BulkResult,
    act_on_matching,
    act_on_selected,
    label_action,
)
from operations.labels import SharedLabels
from operations.models import Operation
from worker_agent.protocol import Identifier

MAX_OPERATIONS = 1000
TIME_LIMIT_S = 20.0
"""Less than the web server's limit for a request."""
FILTERS = (
    "status",
    "operation_type",
    "worker_id",
    "created_by",
    "active",
    "search",
    "tag",
    "archived",
    "where",
)


class BulkRequest(BaseModel):
    """The operations: their ids, or the filters of `GET /operations`, of which at least one is required."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Identifier] = Field(default_factory=list, max_length=MAX_OPERATIONS)
    status: str = Field(default="", max_length=200)
    operation_type: str = Field(default="", max_length=128)
    worker_id: str = Field(default="", max_length=128)
    created_by: str = Field(default="", max_length=150)
    active: bool | None = None
    search: str = Field(default="", max_length=200)
    tag: str = Field(default="", max_length=200)
    archived: str = Field(default="", max_length=5)
    where: str = Field(default="", max_length=500)
    reason: str = Field(default="", max_length=500, pattern=r"^[^\x00]*$")

    @property
    def filters(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in FILTERS}
        return {name: value for name, value in values.items() if value not in ("", None)}

    @model_validator(mode="after")
    def _selects(self) -> "BulkRequest":
        if bool(self.ids) == bool(self.filters):
            raise ValueError("either `ids` or at least one filter is required")
        return self


class BulkRetryRequest(BulkRequest):
    resume: bool = False
    """From the newest checkpoint instead of the start."""


class BulkLabelRequest(BulkRequest):
    """Needs `labels` beside the selection."""

    labels: SharedLabels

    @model_validator(mode="after")
    def _changes(self) -> "BulkLabelRequest":
        if self.labels.is_empty:
            raise ValueError("`labels` needs a tag to add or to remove, or `archived` or `dismissed`")
        return self


class SkippedSerializer(serializers.Serializer[Any]):
    operation_id = serializers.CharField()
    reason = serializers.CharField()


class BulkResultSerializer(serializers.Serializer[BulkResult]):
    matched = serializers.IntegerField(help_text="operations of the selection to which the action applies")
    changed = serializers.IntegerField()
    skipped = serializers.IntegerField()
    remaining = serializers.IntegerField(
        help_text="not handled because one call is bounded; repeat the call to go on, until one changes nothing"
    )
    skipped_operations = SkippedSerializer(many=True, help_text="the first 100")


class BulkView(APIView):
    request_model: ClassVar[type[BulkRequest]]
    example: ClassVar[dict[str, Any]] = {
        "status": "PENDING",
        "operation_type": "echo",
        "reason": "wrong parameters",
    }

    def choose_action(self, selection: BulkRequest) -> BulkAction:
        raise NotImplementedError

    def act(self, request: Request) -> Response:
        selection = validate(self.request_model, body(request))
        action, by = self.choose_action(selection), Actor.from_request(request)
        if selection.ids:
            result = act_on_selected(
                action, selection.ids, by, reason=selection.reason, time_limit_s=TIME_LIMIT_S
            )
        else:
            result = act_on_matching(
                action,
                filter_operations(selection.filters, action.all_rows()),
                by,
                reason=selection.reason,
                description=", ".join(f"{name}={value}" for name, value in selection.filters.items()),
                limit=MAX_OPERATIONS,
                time_limit_s=TIME_LIMIT_S,
            )
        return Response(BulkResultSerializer(result).data)


class BulkCancel(BulkView):
    request_model = BulkRequest

    def choose_action(self, selection: BulkRequest) -> BulkAction:
        return CANCEL

    @extend_schema(operation_id="operations_cancel_many", request=BulkRequest, responses=BulkResultSerializer)
    def post(self, request: Request) -> Response:
        """Cancel the operations of a selection that wait or run, up to 1,000 in a call, the oldest first.

        With filters, operations that have ended do not match; with `ids` they are skipped with the reason.
        """
        return self.act(request)


class BulkRetry(BulkView):
    request_model = BulkRetryRequest

    def choose_action(self, selection: BulkRequest) -> BulkAction:
        return RESUME if isinstance(selection, BulkRetryRequest) and selection.resume else RETRY

    @extend_schema(
        operation_id="operations_retry_many", request=BulkRetryRequest, responses=BulkResultSerializer
    )
    def post(self, request: Request) -> Response:
        """Queue the FAILED and CANCELLED operations of a selection again, up to 1,000 in a call, the oldest first."""
        return self.act(request)


def filter_operations(filters: dict[str, Any], rows: QuerySet[Operation]) -> QuerySet[Operation]:
    """Return those of `rows` that `GET /operations` lists with these filters. Raises Invalid."""
    filterset = OperationFilter(filters, queryset=rows)
    if not filterset.is_valid():
        errors = [
            {"pointer": f"/{name}", "detail": str(detail)}
            for name, details in filterset.errors.items()
            for detail in details
        ]
        raise Invalid("A filter is not valid.", errors=errors)
    matching: QuerySet[Operation] = filterset.qs
    return matching


class BulkLabel(BulkView):
    request_model = BulkLabelRequest
    example: ClassVar = {"status": "FAILED", "labels": {"dismissed": True}}

    def choose_action(self, selection: BulkRequest) -> BulkAction:
        assert isinstance(selection, BulkLabelRequest), "the request model of this view"
        return label_action(selection.labels)

    @extend_schema(
        operation_id="operations_label_many", request=BulkLabelRequest, responses=BulkResultSerializer
    )
    def post(self, request: Request) -> Response:
        """Add or remove tags, archive or dismiss the operations of a selection, up to 1,000 in a call."""
        return self.act(request)


class BulkDelete(BulkView):
    request_model = BulkRequest

    def choose_action(self, selection: BulkRequest) -> BulkAction:
        return DELETE

    @extend_schema(operation_id="operations_delete_many", request=BulkRequest, responses=BulkResultSerializer)
    def post(self, request: Request) -> Response:
        """Delete the operations of a selection that have ended, up to 1,000 in a call, the newest first; see `/delete`."""
        return self.act(request)


class BulkRestore(BulkView):
    request_model = BulkRequest

    def choose_action(self, selection: BulkRequest) -> BulkAction:
        return RESTORE

    @extend_schema(
        operation_id="operations_restore_many", request=BulkRequest, responses=BulkResultSerializer
    )
    def post(self, request: Request) -> Response:
        """Restore the deleted operations of a selection, up to 1,000 in a call."""
        return self.act(request)


urlpatterns = [
    path("operations/cancel", BulkCancel.as_view(), name="cancel-operations"),
    path("operations/retry", BulkRetry.as_view(), name="retry-operations"),
    path("operations/label", BulkLabel.as_view(), name="label-operations"),
    path("operations/delete", BulkDelete.as_view(), name="delete-operations"),
    path("operations/restore", BulkRestore.as_view(), name="restore-operations"),
]
