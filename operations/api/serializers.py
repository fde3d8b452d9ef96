"""Serializers of the operations API."""

from collections.abc import Set
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import BooleanField, Case, Exists, OuterRef, Prefetch, Q, QuerySet, Value, When
from django.db.models.functions import Now
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request

from operations.models import (
    Artifact,
    Attempt,
    Checkpoint,
    Event,
    LogLine,
    MarketData,
    MetricPoint,
    Operation,
)
from operations.states import ACTIVE, FINAL, Status

STALE_AFTER_CACHES = 5
"""Progress older than this many cache times is stale: the worker could not be reached."""


OUTPUTS = Prefetch("artifacts", Artifact.objects.filter(role=Artifact.Role.OUTPUT).select_related("file"))
RELATIONS = frozenset({"after", "attempts", "tags", "artifacts"})


def operations_for_serializer(
    rows: QuerySet[Operation] | None = None, relations: Set[str] = RELATIONS
) -> QuerySet[Operation]:
    """Return operations with everything that `OperationSerializer` needs, in a fixed number of queries.

    `rows` are by default all that are not deleted; `relations` are those that the chosen fields show.
    """
    rows = Operation.objects.all() if rows is None else rows
    fresh = Q(
        progress_updated_at__gt=Now() - timedelta(seconds=STALE_AFTER_CACHES * settings.PROGRESS_CACHE_S)
    )
    return (
        rows.select_related("created_by")
        .prefetch_related(*(OUTPUTS if name == "artifacts" else name for name in sorted(relations)))
        .annotate(
            has_checkpoint=Exists(Checkpoint.objects.filter(operation=OuterRef("pk"))),
            is_stale=Case(
                When(Q(status__in=ACTIVE) & ~fresh, then=Value(True)),
                default=Value(False),
                output_field=BooleanField(),
            ),
        )
    )


@extend_schema_serializer(component_name="OperationProgress")
class ProgressSerializer(serializers.Serializer[Operation]):
    percentage = serializers.FloatField()
    current_step = serializers.CharField(allow_null=True)
    steps_completed = serializers.IntegerField(allow_null=True)
    steps_total = serializers.IntegerField(allow_null=True)
    eta_seconds = serializers.FloatField(allow_null=True)
    updated_at = serializers.DateTimeField(allow_null=True)
    stale = serializers.BooleanField(help_text="the worker could not be reached recently")

    def to_representation(self, instance: Operation) -> dict[str, Any]:
        progress = instance.progress
        updated_at = instance.progress_updated_at
        return {
            "percentage": progress.get("percentage", 0.0),
            "current_step": progress.get("current_step"),
            "steps_completed": progress.get("steps_completed"),
            "steps_total": progress.get("steps_total"),
            "eta_seconds": progress.get("eta_seconds"),
            "updated_at": updated_at and serializers.DateTimeField().to_representation(updated_at),
            "stale": bool(getattr(instance, "is_stale", False)),
        }


class ErrorSerializer(serializers.Serializer[Operation]):
    message = serializers.CharField(source="error_message")
    traceback = serializers.CharField(source="error_traceback")

    def get_fields(self) -> dict[str, Any]:
        return {"class": serializers.CharField(source="error_class"), **super().get_fields()}


class ArtifactSerializer(serializers.ModelSerializer[Artifact]):
    sha256 = serializers.CharField(source="file_id")
    size = serializers.IntegerField(source="file.size", help_text="bytes")
    url = serializers.SerializerMethodField()

    class Meta:
        model = Artifact
        fields = ("name", "role", "sha256", "size", "url")

    def get_url(self, artifact: Artifact) -> str:
        path = f"/operations/{artifact.operation_id}/artifacts/{artifact.name}"
        request = self.context.get("request")
        return str(request.build_absolute_uri(path)) if request else path


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    attempt = serializers.IntegerField(source="number")
    outcome = serializers.CharField(allow_blank=True)

    class Meta:
        model = Attempt
        fields = (
            "attempt",
            "worker_id",
            "instance_id",
            "claimed_at",
            "started_at",
            "ended_at",
            "outcome",
            "error",
            "resumed_from_step",
        )


@extend_schema_field({"type": "object", "additionalProperties": True})
class JsonObject(serializers.JSONField):
    """A JSON object."""


@extend_schema_field({"type": "object"})
class ResultField(serializers.JSONField):
    """The value that the worker's function returned; null until the operation has completed."""


class OperationSerializer(serializers.ModelSerializer[Operation]):
    created_by = serializers.CharField(source="created_by.username", default=None, allow_null=True)
    after = serializers.SerializerMethodField()
    progress = ProgressSerializer(source="*")
    error = serializers.SerializerMethodField()
    resumable = serializers.SerializerMethodField()
    artifacts = ArtifactSerializer(many=True)
    attempts = AttemptSerializer(many=True)
    worker_id = serializers.SerializerMethodField()
    stalled_since = serializers.SerializerMethodField(
        help_text="the job has reported no progress, metric or log line since; null while it does"
    )
    result = ResultField(allow_null=True)
    tags = serializers.SerializerMethodField()

    class Meta:
        model = Operation
        fields: tuple[str, ...] = (
            "operation_id",
            "operation_type",
            "status",
            "created_at",
            "started_at",
            "completed_at",
            "created_by",
            "priority",
            "requirements",
            "worker_id",
            "attempt",
            "max_attempts",
            "timeout_s",
            "expires_after_s",
            "expires_at",
            "stalled_since",
            "waiting_reason",
            "after",
            "progress",
            "parameters",
            "result",
            "error",
            "resumable",
            "artifacts",
            "attempts",
            "request_id",
            "traceparent",
            "title",
            "tags",
            "archived_at",
            "dismissed_at",
        )
        read_only_fields = ("request_id", "traceparent")

    def get_tags(self, operation: Operation) -> list[str]:
        return sorted(tag.pk for tag in operation.tags.all())

    def get_worker_id(self, operation: Operation) -> str | None:
        return operation.worker_id or None

    def get_stalled_since(self, operation: Operation) -> datetime | None:
        return next((row.silent_since for row in operation.attempts.all() if row.ended_at is None), None)

    def get_after(self, operation: Operation) -> list[str]:
        return sorted(awaited.pk for awaited in operation.after.all())

    @extend_schema_field(ErrorSerializer(allow_null=True))
    def get_error(self, operation: Operation) -> dict[str, str] | None:
        if operation.status != Status.FAILED:
            return None
        return dict(ErrorSerializer(operation).data)

    def get_resumable(self, operation: Operation) -> bool:
        is_retryable = operation.status in FINAL and operation.status != Status.COMPLETED
        return bool(is_retryable and getattr(operation, "has_checkpoint", False))


class OperationDetailSerializer(OperationSerializer):
    """With the note, which may be long."""

    class Meta(OperationSerializer.Meta):
        fields = (*OperationSerializer.Meta.fields, "note")


class SubmittedSerializer(serializers.Serializer[Operation]):
    operation_id = serializers.CharField()
    task_id = serializers.CharField(source="operation_id", help_text="same as operation_id")
    status = serializers.CharField()
    url = serializers.CharField(read_only=True)

    def to_representation(self, operation: Operation) -> dict[str, str]:
        return submitted_fields(operation, self.context.get("request"))


def submitted_fields(operation: Operation, request: Request | None) -> dict[str, str]:
    """Return the response without a serializer, which would make a copy of each of its fields first."""
    site = "" if request is None else f"{request.scheme}://{request.get_host()}"
    return {
        "operation_id": operation.pk,
        "task_id": operation.pk,
        "status": operation.status,
        "url": f"{site}/operations/{operation.pk}",
    }


@extend_schema_serializer(component_name="OperationMetric")
class MetricPointSerializer(serializers.ModelSerializer[MetricPoint]):
    seq = serializers.IntegerField(source="pk")

    class Meta:
        model = MetricPoint
        fields = ("seq", "attempt", "name", "step", "value", "time")


@extend_schema_serializer(component_name="OperationLogLine")
class LogLineSerializer(serializers.ModelSerializer[LogLine]):
    seq = serializers.IntegerField(source="pk")

    class Meta:
        model = LogLine
        fields = ("seq", "attempt", "level", "message", "time")


class EventSerializer(serializers.ModelSerializer[Event]):
    seq = serializers.IntegerField(source="pk")

    class Meta:
        model = Event
        fields = ("seq", "at", "kind", "from_status", "to_status", "attempt", "actor", "reason")


class MarketDataSerializer(serializers.ModelSerializer[MarketData]):
    sha256 = serializers.CharField(source="file_id")
    size = serializers.IntegerField(source="file.size", help_text="bytes")
    imported_by = serializers.CharField(source="imported_by_id", allow_null=True, help_text="operation id")

    class Meta:
        model = MarketData
        fields = (
            "symbol",
            "timeframe",
            "rows",
            "start",
            "end",
            "quality",
            "sha256",
            "size",
            "imported_by",
            "imported_at",
        )
