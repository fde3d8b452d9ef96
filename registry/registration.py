"""Workers register, as often as they like, and deregister."""

from collections.abc import Sequence

import structlog
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from access.outbound import BadAddress
from registry import auth, dispatch_channel, enrolment, operations_port, protocol_versions, tls, worker_urls
from registry.kept_reports import UnreadableReport
from registry.models import Capability, EnrolmentToken, Worker, WorkerStatus
from registry.worker_client import Endpoint, WorkerClient, WorkerError
from worker_agent.protocol import Registration, RegistrationAnswer

log = structlog.get_logger(__name__)

CLAIM_CHECK_TIMEOUT_S = 2.0


class WorkerIdTaken(Exception):
    """Another live agent uses this worker id."""


def register(
    registration: Registration,
    enrolled_with: EnrolmentToken | None = None,
    unreadable: Sequence[UnreadableReport] = (),
) -> RegistrationAnswer:
    """Store the worker, reconcile its operations, and return its tokens.

    The worker is BUSY until it is reconciled, so nothing is dispatched to it in between. If this process dies in
    between, the next health check corrects the status. Raises BadAddress, WorkerIdTaken, WrongPool, Revoked.
    """
    enrolment.check_pool(enrolled_with, registration.worker_type)
    url = worker_urls.validate(registration.endpoint_url)
    try:
        tls.check(url)
    except tls.Untrusted as error:
        raise BadAddress(f"The worker at {url} is not trusted: {error}.") from error
    _refuse_second_claimant(registration, url)
    worker = _store(registration, url, enrolled_with)
    try:
        enrolment.check_not_revoked(enrolled_with)
    except enrolment.Revoked:
        deregister(worker.worker_id, registration.instance_id)
        raise
    reconciliation = operations_port.operations().reconcile_registration(worker, registration, unreadable)
    Worker.objects.filter(pk=worker.pk, instance_id=registration.instance_id).update(
        status=reconciliation.status
    )
    dispatch_channel.notify_dispatchers()
    log.info(
        "worker registered",
        worker_id=worker.worker_id,
        worker_type=worker.worker_type,
        instance_id=worker.instance_id,
        endpoint_url=url,
        version=worker.version,
        status=reconciliation.status,
    )
    return RegistrationAnswer(
        worker_id=worker.worker_id,
        status=reconciliation.status,
        protocol_version=protocol_versions.negotiate(registration.protocol_version),
        warning=protocol_versions.incompatibility(registration.protocol_version),
        worker_token=auth.worker_token(worker.worker_id, registration.instance_id),
        backend_token=auth.backend_token(worker.worker_id, registration.instance_id),
        health_interval_s=settings.HEALTH_INTERVAL_S,
        cancel_grace_s=settings.CANCEL_GRACE_S,
        stop_operations=reconciliation.stop_operations,
        acknowledged=reconciliation.acknowledged,
    )


def _refuse_second_claimant(registration: Registration, url: str) -> None:
    """Of two live agents with one name, the first keeps it as long as it responds. No transaction is open here."""
    holder = Worker.objects.filter(pk=registration.worker_id).first()
    if holder is None or holder.instance_id == registration.instance_id or holder.endpoint_url == url:
        return
    if _is_responding(Endpoint(holder.worker_id, holder.instance_id, holder.endpoint_url)):
        raise WorkerIdTaken(
            f"A live worker at {holder.endpoint_url} is already registered as {holder.worker_id}; use another --worker-id."
        )


@async_to_sync
async def _is_responding(endpoint: Endpoint) -> bool:
    try:
        async with WorkerClient(timeout_s=CLAIM_CHECK_TIMEOUT_S) as client:
            await client.health(endpoint)
    except WorkerError:
        return False
    return True


@transaction.atomic
def _store(registration: Registration, url: str, enrolled_with: EnrolmentToken | None) -> Worker:
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
            "status": WorkerStatus.BUSY,
            "unavailable_since": None,
            "health_check_failures": 0,
            "health_problem": "",
            "registered_at": Now(),
            "last_healthy_at": Now(),
        },
    )
    announced = _store_capabilities(registration)
    if set(worker.announced.values_list("pk", flat=True)) != announced:
        worker.announced.set(announced)
    return worker


def _store_capabilities(registration: Registration) -> set[int]:
    """Return the ids of the worker's capabilities. The newest schema counts; rows are written only if they changed."""
    rows = {
        row.operation_type: row for row in Capability.objects.filter(worker_type=registration.worker_type)
    }
    ids = set()
    for kind in registration.operation_types:
        row = rows.get(kind.operation_type)
        if row is None or (row.start_path, row.parameters_schema) != (
            kind.start_path,
            kind.parameters_schema,
        ):
            row, _ = Capability.objects.update_or_create(
                operation_type=kind.operation_type,
                worker_type=registration.worker_type,
                defaults={
                    "start_path": kind.start_path,
                    "parameters_schema": kind.parameters_schema,
                    "announced_at": Now(),
                },
            )
        ids.add(row.pk)
    return ids


def deregister(worker_id: str, instance_id: str) -> bool:
    """Remove a worker that shuts down. Its active attempt ends now rather than after a minute."""
    operations_port.operations().mark_interrupted({worker_id: instance_id}, "shut down")
    removed, _ = Worker.objects.filter(pk=worker_id, instance_id=instance_id).delete()
    if removed:
        log.info("worker deregistered", worker_id=worker_id, instance_id=instance_id)
    return removed > 0
