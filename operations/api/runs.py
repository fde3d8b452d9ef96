"""Runs as a table: the metrics by which they are ranked, and their settings."""

from typing import Any

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.problems import invalid, refuse_nul
from operations.api.base import offset_page, offset_parameters
from operations.api.filters import ARCHIVED
from operations.models import Operation
from operations.runs import ranking
from operations.runs.columns import METRICS
from operations.runs.expressions import MAX_LENGTH, ExpressionError
from operations.runs.rows import load_rows

PAGE, MAX_PAGE = 50, 1_000
NEWEST = "-created"
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
            *offset_parameters(PAGE, MAX_PAGE),
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
        keys = _select(request).values_list("pk", flat=True)
        return offset_page(request, keys, _serialize, page=PAGE, max_page=MAX_PAGE)


def _serialize(keys: list[str]) -> Any:
    return RunSerializer(load_rows(keys), many=True).data


def _select(request: Request) -> Any:
    """Return the runs of `?where=&order=&archived=`. Raises Invalid."""
    query = request.query_params
    refuse_nul(query)
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
