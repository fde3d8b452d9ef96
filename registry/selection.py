"""Selects the workers that can run an operation, and explains why none can."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Case, F, Func, IntegerField, JSONField, Q, QuerySet, TextField, Value, When
from django.db.models.lookups import Exact, GreaterThanOrEqual

from registry import protocol_versions
from registry.models import Worker, WorkerStatus
from registry.workforce import Workforce


def requires(requirements: Mapping[str, Any]) -> Q:
    """Select workers whose capabilities meet every requirement: at least a number, equal to anything else.

    The name of a requirement is only a value in the query, whatever it contains.
    """
    query = Q()
    for name, value in requirements.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            query &= Q(capabilities__contains={name: value})
        else:
            capability = Func(
                F("capabilities"), Value(name), function="jsonb_extract_path", output_field=JSONField()
            )
            kind = Func(capability, function="jsonb_typeof", output_field=TextField())
            # JSON orders values of different types too: true is above every number.
            query &= Q(Exact(kind, Value("number"))) & Q(
                GreaterThanOrEqual(capability, Value(value, JSONField()))
            )
    return query


def capable(operation_type: str, requirements: Mapping[str, Any]) -> QuerySet[Worker]:
    """Return every registered worker that could run it, whatever its status."""
    return Worker.objects.filter(requires(requirements), announced__operation_type=operation_type)


def available() -> Q:
    """Select the workers that may take work now, if they have none."""
    return protocol_versions.compatible() & Q(status=WorkerStatus.AVAILABLE, cordoned=False)


def candidates(
    operation_type: str, requirements: Mapping[str, Any], prefer_gpu: bool = False
) -> QuerySet[Worker]:
    """Return the workers that may take it now: GPU first if preferred, then the least recently selected."""
    free = capable(operation_type, requirements).filter(available())
    order: list[Any] = [F("last_selected_at").asc(nulls_first=True), "worker_id"]
    if prefer_gpu:
        gpu = Case(
            When(capabilities__contains={"gpu": True}, then=Value(0)),
            default=Value(1),
            output_field=IntegerField(),
        )
        order.insert(0, gpu)
    return free.order_by(*order)


def start_path(worker: Worker, operation_type: str) -> str:
    """Return the path at which the worker starts operations of this type. Raises Capability.DoesNotExist."""
    return worker.announced.get(operation_type=operation_type).start_path


def counts(operation_type: str, requirements: Mapping[str, Any]) -> dict[str, int]:
    """Count the workers that could run it, by state."""
    return Workforce.load().counts(operation_type, requirements)


def explain(operation_type: str, requirements: Mapping[str, Any]) -> str:
    """Explain why no worker takes it now."""
    return Workforce.load().explain(operation_type, requirements)
