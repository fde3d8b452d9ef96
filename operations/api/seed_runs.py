"""Seed runs: one submission with several seeds, and the spread of its figures."""

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.problems import NewestFirst, body, validate
from operations import example_requests, seed_runs
from operations.api import examples
from operations.api.base import IDEMPOTENCY_KEY, submitter
from operations.models import SeedRun, SeedRunMember


class MemberSerializer(serializers.ModelSerializer[SeedRunMember]):
    operation_id = serializers.CharField()
    operation_type = serializers.CharField(source="operation.operation_type")
    status = serializers.CharField(source="operation.status")

    class Meta:
        model = SeedRunMember
        fields = ("operation_id", "operation_type", "seed", "status")


class SpreadSerializer(serializers.Serializer[seed_runs.Spread]):
    """One figure over the operations that have completed."""

    operation_type = serializers.CharField()
    name = serializers.CharField()
    count = serializers.IntegerField(help_text="operations that have the figure")
    minimum = serializers.FloatField()
    median = serializers.FloatField()
    mean = serializers.FloatField()
    maximum = serializers.FloatField()
    deviation = serializers.FloatField(
        allow_null=True, help_text="standard deviation of a sample; null for fewer than two values"
    )


class SeedRunSerializer(serializers.ModelSerializer[SeedRun]):
    created_by = serializers.CharField(source="created_by.username", default=None, allow_null=True)

    class Meta:
        model = SeedRun
        fields = ("seed_run_id", "created_at", "created_by")


class SeedRunDetailSerializer(SeedRunSerializer):
    operations = MemberSerializer(many=True, source="shown_members")
    spread = SpreadSerializer(many=True, source="shown_spreads")

    class Meta(SeedRunSerializer.Meta):
        fields = (*SeedRunSerializer.Meta.fields, "operations", "spread")  # type: ignore[assignment]  # more


class SeedRunList(ListAPIView[SeedRun]):
    queryset = SeedRun.objects.select_related("created_by")
    serializer_class = SeedRunSerializer
    pagination_class = NewestFirst
    example = example_requests.SEED_RUN

    @extend_schema(
        operation_id="seed_runs_create",
        request=seed_runs.SeedRunRequest,
        responses={202: SeedRunDetailSerializer},
        parameters=[IDEMPOTENCY_KEY],
        examples=[
            examples.request_example("Five seeds, and a backtest of each model", example_requests.SEED_RUN)
        ],
    )
    def post(self, request: Request) -> Response:
        """Submit one operation with several seeds, all or none, and optionally a backtest of each trained model.

        The first seed is that of the submission; the others are derived from it, so that a repetition has the same ones.
        """
        data = body(request)
        by = submitter(request, data)
        seed_run = seed_runs.find_repeat(by) or seed_runs.create(validate(seed_runs.SeedRunRequest, data), by)
        response = _response(seed_run.seed_run_id, status.HTTP_202_ACCEPTED)
        response.headers["Location"] = request.build_absolute_uri(f"/seed-runs/{seed_run.seed_run_id}")
        return response


class SeedRunDetail(APIView):
    @extend_schema(operation_id="seed_runs_retrieve", responses=SeedRunDetailSerializer)
    def get(self, request: Request, seed_run_id: str) -> Response:
        """Return the operations of a seed run and the spread of their figures so far."""
        return _response(seed_run_id)


def _response(seed_run_id: str, code: int = status.HTTP_200_OK) -> Response:
    rows = SeedRun.objects.select_related("created_by")
    seed_run: Any = None if "\x00" in seed_run_id else rows.filter(seed_run_id=seed_run_id).first()
    if seed_run is None:
        raise NotFound("Unknown seed run.")
    seed_run.shown_members = seed_runs.members_of(seed_run)
    seed_run.shown_spreads = seed_runs.spreads(seed_run.shown_members)
    return Response(SeedRunDetailSerializer(seed_run).data, status=code)


urlpatterns = [
    path("seed-runs", SeedRunList.as_view(), name="seed-runs"),
    path("seed-runs/<str:seed_run_id>", SeedRunDetail.as_view(), name="seed-run"),
]
