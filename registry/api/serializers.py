"""Serializers of the workers API."""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from registry import operations_port
from registry.models import Worker
from registry.operations_port import WorkerHistory

NO_HISTORY = WorkerHistory()


class WorkerSerializer(serializers.ModelSerializer[Worker]):
    """Expects `histories` of all serialized workers in the context, so that one query serves them all."""

    protocol_problem = serializers.CharField(read_only=True)
    current_operation_id = serializers.SerializerMethodField()
    operation_types = serializers.SerializerMethodField()
    completed = serializers.SerializerMethodField()
    failed = serializers.SerializerMethodField()

    class Meta:
        model = Worker
        fields = (
            "worker_id",
            "worker_type",
            "endpoint_url",
            "status",
            "cordoned",
            "cordon_reason",
            "probe_at",
            "sickness",
            "draining",
            "current_operation_id",
            "capabilities",
            "resources",
            "operation_types",
            "instance_id",
            "version",
            "protocol_version",
            "protocol_problem",
            "registered_at",
            "last_health_check",
            "last_healthy_at",
            "health_check_failures",
            "health_problem",
            "completed",
            "failed",
        )
        read_only_fields = fields

    def _history(self, worker: Worker) -> WorkerHistory:
        histories: dict[str, WorkerHistory] = self.context.get("histories", {})
        return histories.get(worker.worker_id, NO_HISTORY)

    @extend_schema_field({"type": ["string", "null"]})
    def get_current_operation_id(self, worker: Worker) -> str | None:
        return self._history(worker).current_operation_id

    def get_operation_types(self, worker: Worker) -> list[str]:
        return sorted(capability.operation_type for capability in worker.announced.all())

    def get_completed(self, worker: Worker) -> int:
        return self._history(worker).completed

    def get_failed(self, worker: Worker) -> int:
        return self._history(worker).failed


def serialize_workers(workers: Sequence[Worker]) -> list[dict[str, Any]]:
    """Serialize workers, which must have `announced` prefetched, with one query for all their histories."""
    histories = operations_port.operations().histories([worker.worker_id for worker in workers])
    return list(WorkerSerializer(workers, many=True, context={"histories": histories}).data)


class CordonSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")
    drain = serializers.BooleanField(required=False, default=False)
