"""Runs as a table: the metrics by which they are ranked, and their settings."""

from typing import Any

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.problems import invalid
from operations.api.base import integer_parameter
from operations.models import Operation
from operations.runs import ranking
from operations.runs.columns import METRICS
from operations.runs.expressions import MAX_LENGTH, ExpressionError
from operations.runs.rows import load_rows

PAGE, MAX_PAGE = 50, 1_000
MAX_OFFSET = 1_000_000
NEWEST = "-created"
ARCHIVED: dict[str, dict[str, bool]] = {
    "false": {"archived_at__isnull": True},
    "true": {"archived_at__isnull": False},
    "any": {},
}
ORDERS = (*ranking.FIELDS, *METRICS)


class RunSerializer(serializers.Serializer[Any]):
    """An operation whose result is ranked, with its metrics and settings."""

    operation_id = serializers.CharField()
    operation_type = serializers.CharField()
    status = serializers.CharField()
    title = serializers.CharField()
    subject = serializers.CharField(help_text="strategy and symbols")
    tags = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(help_text="empty if the user was removed")
    metrics = serializers.DictField(
        child=serializers.FloatField(allow_null=True),
        help_text=f"null where a run does not have one: {', '.join(METRICS)}",
    )
    settings = serializers.DictField(help_text="parameters and values of the strategy by dotted name")


class RunList(APIView):
    @extend_schema(
        operation_id="runs_list",
        parameters=[
            OpenApiParameter(
                "where",
                {"type": "string", "maxLength": MAX_LENGTH},
                description="an expression such as `sharpe > 0.5 and trades > 30 and tag = fx`",
            ),
            OpenApiParameter(
                "order",
                {"type": "string", "default": NEWEST},
                description=f"descending with a leading hyphen; runs without the value come last: {', '.join(ORDERS)}",
            ),
            OpenApiParameter("archived", str, enum=list(ARCHIVED), default="false"),
            OpenApiParameter(
                "limit", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": PAGE}
            ),
            OpenApiParameter(
                "offset", {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0}
            ),
        ],
        responses=inline_serializer(
            "RunPage",
            {"results": RunSerializer(many=True), "next_offset": serializers.IntegerField(allow_null=True)},
        ),
    )
    def get(self, request: Request) -> Response:
        """List runs with their metrics and settings, filtered and ranked.

        A run that is submitted meanwhile moves the others, so that one may be on two pages.
        """
        limit = integer_parameter(request, "limit", PAGE, 1, MAX_PAGE)
        offset = integer_parameter(request, "offset", 0, 0, MAX_OFFSET)
        keys = list(_select(request).values_list("pk", flat=True)[offset : offset + limit])
        following = offset + limit if len(keys) == limit else None
        return Response({"results": RunSerializer(load_rows(keys), many=True).data, "next_offset": following})


def _select(request: Request) -> Any:
    """Return the runs of `?where=&order=&archived=`. Raises Invalid."""
    query = request.query_params
    for name, value in query.items():
        if "\x00" in value:
            raise invalid(f"/{name}", "Text may not contain NUL characters.")
    if (archived := query.get("archived", "false")) not in ARCHIVED:
        raise invalid("/archived", f"archived must be one of {', '.join(ARCHIVED)}.")
    rows = ranking.runs(Operation.objects.filter(**ARCHIVED[archived]))
    try:
        return ranking.select(rows, query.get("where", ""), query.get("order") or NEWEST)
    except ExpressionError as error:
        raise invalid("/where", str(error)) from error
    except ValueError as error:
        raise invalid("/order", str(error)) from error


urlpatterns = [path("runs", RunList.as_view(), name="runs")]
