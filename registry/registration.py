"""Workers register, as often as they like, and deregister."""

from collections.abc import Sequence
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from access.outbound import BadAddress
from registry import (
    address_checks,
    auth,
    departures,
    dispatch_channel,
    enrolment,
    name_claims,
    operations_port,
    parameter_schemas,
    pools,
    protocol_versions,
    tls,
    worker_urls,
)
from registry.kept_reports import UnreadableReport
from registry.models import Capability, EnrolmentToken, Worker, WorkerStatus
from worker_agent.protocol import Registration, RegistrationAnswer

log = structlog.get_logger(__name__)
ANNOUNCED = ("start_path", "parameters_schema", "result_schema", "timeout_s", "max_attempts", "max_running")
"""Fields of an operation type that each registration replaces."""


def register(
    registration: Registration,
    enrolled_with: EnrolmentToken | None = None,
    unreadable: Sequence[UnreadableReport] = (),
) -> RegistrationAnswer:
    """Store the worker, reconcile its operations, and return its tokens.

    The worker is BUSY until it is reconciled, so nothing is dispatched to it in between. If this process dies in
    between, the next health check corrects the status. A worker whose address is not verified is
    TEMPORARILY_UNAVAILABLE until a health check succeeds. Raises BadAddress; UnsafeSchema; WorkerIdTaken;
    WrongPool, Revoked, ForeignName, ForeignType.
    """
    url = _check(registration, enrolled_with)
    holder = name_claims.check(registration, enrolled_with)
    problem = address_checks.find_problem(registration, url, holder)
    try:
        worker = _store(registration, url, enrolled_with, holder, problem)
    except IntegrityError as error:
        raise name_claims.WorkerIdTaken(
            f"Another registration as {registration.worker_id} was faster; try again."
        ) from error
    try:
        enrolment.check_not_revoked(enrolled_with)
    except enrolment.Revoked:
        deregister(worker.worker_id, registration.instance_id)
        raise
    reconciliation = operations_port.operations().reconcile_registration(worker, registration, unreadable)
    status = WorkerStatus.TEMPORARILY_UNAVAILABLE if problem else reconciliation.status
    if not problem:
        # Unless a health check has failed meanwhile.
        rows = Worker.objects.filter(pk=worker.pk, instance_id=registration.instance_id)
        rows.exclude(status=WorkerStatus.TEMPORARILY_UNAVAILABLE).update(status=status)
    dispatch_channel.notify_dispatchers()
    log.info(
        "worker registered",
        worker_id=worker.worker_id,
        worker_type=worker.worker_type,
        instance_id=worker.instance_id,
        endpoint_url=url,
        version=worker.version,
        status=status,
        problem=problem,
    )
    return RegistrationAnswer(
        worker_id=worker.worker_id,
        status=status,
        protocol_version=protocol_versions.negotiate(registration.protocol_version),
        warning=protocol_versions.incompatibility(registration.protocol_version) or problem,
        worker_token=auth.worker_token(worker.worker_id, registration.instance_id),
        backend_token=auth.backend_token(worker.worker_id, registration.instance_id),
        proof_key=auth.proof_key(worker.worker_id, registration.instance_id),
        health_interval_s=settings.HEALTH_INTERVAL_S,
        cancel_grace_s=settings.CANCEL_GRACE_S,
        stop_operations=reconciliation.stop_operations,
        acknowledged=reconciliation.acknowledged,
    )


def _check(registration: Registration, enrolled_with: EnrolmentToken | None) -> str:
    """Check what the token may register, and the address; return the address."""
    enrolment.check_pool(enrolled_with, registration.worker_type)
    url = worker_urls.validate(registration.endpoint_url)
    try:
        tls.check(url)
    except tls.Untrusted as error:
        raise BadAddress(f"The worker at {url} is not trusted: {error}.") from error
    types = registration.operation_types
    parameter_schemas.check_all(
        {
            **{kind.operation_type: kind.parameters_schema for kind in types},
            **{f"{kind.operation_type} (result)": kind.result_schema for kind in types if kind.result_schema},
        }
    )
    pools.check_operation_types(enrolled_with, [kind.operation_type for kind in registration.operation_types])
    return url


@transaction.atomic
def _store(
    registration: Registration,
    url: str,
    enrolled_with: EnrolmentToken | None,
    holder: Worker | None,
    problem: str,
) -> Worker:
    name_claims.check_unchanged(registration.worker_id, holder)
    worker, _ = Worker.objects.update_or_create(
        worker_id=registration.worker_id,
        defaults={
            "worker_type": registration.worker_type,
            "endpoint_url": url,
            "enrolled_with": enrolled_with,
            "instance_id": registration.instance_id,
            "version": registration.version,
            "protocol_version": registration.protocol_version,
            "capabilities": dict(registration.capabilities),
            "registered_at": Now(),
            **_availability(registration, holder, problem),
        },
    )
    announced = _store_capabilities(registration)
    if set(worker.announced.values_list("pk", flat=True)) != announced:
        worker.announced.set(announced)
    return worker


def _availability(registration: Registration, holder: Worker | None, problem: str) -> dict[str, Any]:
    if not problem:
        return {
            "status": WorkerStatus.BUSY,
            "unavailable_since": None,
            "health_check_failures": 0,
            "health_problem": "",
            "last_healthy_at": Now(),
        }
    is_same = holder is not None and holder.instance_id == registration.instance_id
    since = holder.unavailable_since if holder is not None and is_same else None
    return {
        "status": WorkerStatus.TEMPORARILY_UNAVAILABLE,
        # Repeated registrations do not prolong the time after which its operation is lost.
        "unavailable_since": since or Now(),
        "health_problem": problem,
    }


def _store_capabilities(registration: Registration) -> set[int]:
    """Return the ids of the worker's capabilities. The newest schema counts; rows are written only if they changed."""
    rows = {
        row.operation_type: row for row in Capability.objects.filter(worker_type=registration.worker_type)
    }
    ids = set()
    for kind in registration.operation_types:
        row = rows.get(kind.operation_type)
        announced = {name: getattr(kind, name) for name in ANNOUNCED}
        announced["parameters_schema"] = parameter_schemas.keep_order(kind.parameters_schema)
        announced["result_schema"] = kind.result_schema and parameter_schemas.keep_order(kind.result_schema)
        if row is None or any(getattr(row, name) != value for name, value in announced.items()):
            # Workers of one type that register at the same time store the same row; neither may fail.
            (row,) = Capability.objects.bulk_create(
                [
                    Capability(
                        operation_type=kind.operation_type,
                        worker_type=registration.worker_type,
                        **announced,
                    )
                ],
                update_conflicts=True,
                unique_fields=("operation_type", "worker_type"),
                update_fields=(*ANNOUNCED, "announced_at"),
            )
        ids.add(row.pk)
    return ids


def deregister(worker_id: str, instance_id: str) -> bool:
    """Remove a worker that shuts down; return whether it was registered."""
    is_removed = departures.depart(worker_id, instance_id, "shut down")
    if is_removed:
        log.info("worker deregistered", worker_id=worker_id, instance_id=instance_id)
    return is_removed
