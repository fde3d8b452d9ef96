"""Workers announce themselves, again and again without harm, and leave."""

import structlog
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from access.outbound import BadAddress
from registry import auth, endpoints, enrolment, hooks, notify, tls, versions
from registry.models import Capability, EnrolmentToken, Worker, WorkerStatus
from registry.worker_client import Endpoint, WorkerClient, WorkerError
from worker_agent.protocol import Registration, RegistrationAnswer

log = structlog.get_logger(__name__)

CLAIM_CHECK_TIMEOUT_S = 2.0


class Taken(Exception):
    """Another live agent has this worker id."""


def register(registration: Registration, enrolled_with: EnrolmentToken | None = None) -> RegistrationAnswer:
    """Enters the worker, settles what both sides believe about its work, and answers with its tokens.

    Until that is settled the worker is BUSY, so that nothing is dispatched in between; should this process die
    there, the next health answer sets it right. Raises BadAddress, Taken, WrongPool, Revoked.
    """
    enrolment.check_pool(enrolled_with, registration.worker_type)
    url = endpoints.checked(registration.endpoint_url)
    try:
        tls.check(url)
    except tls.Untrusted as error:
        raise BadAddress(f"The worker at {url} is not trusted: {error}.") from error
    _refuse_second_claimant(registration, url)
    worker = _enter(registration, url, enrolled_with)
    try:
        enrolment.check_not_revoked(enrolled_with)
    except enrolment.Revoked:
        deregister(worker.worker_id, registration.instance_id)
        raise
    settled = hooks.operations().reconcile_registration(worker, registration)
    Worker.objects.filter(pk=worker.pk, instance_id=registration.instance_id).update(status=settled.status)
    notify.dispatcher()
    log.info(
        "worker registered",
        worker_id=worker.worker_id,
        worker_type=worker.worker_type,
        instance_id=worker.instance_id,
        endpoint_url=url,
        version=worker.version,
        status=settled.status,
    )
    return RegistrationAnswer(
        worker_id=worker.worker_id,
        status=settled.status,
        protocol_version=versions.spoken_with(registration.protocol_version),
        warning=versions.problem(registration.protocol_version),
        worker_token=auth.worker_token(worker.worker_id, registration.instance_id),
        backend_token=auth.backend_token(worker.worker_id, registration.instance_id),
        health_interval_s=settings.HEALTH_INTERVAL_S,
        cancel_grace_s=settings.CANCEL_GRACE_S,
        stop_operations=settled.stop_operations,
        acknowledged=settled.acknowledged,
    )


def _refuse_second_claimant(registration: Registration, url: str) -> None:
    """Two live agents with one name: the first keeps it while it still answers. No transaction is open here."""
    known = Worker.objects.filter(pk=registration.worker_id).first()
    if known is None or known.instance_id == registration.instance_id or known.endpoint_url == url:
        return
    if _answers(Endpoint(known.worker_id, known.instance_id, known.endpoint_url)):
        raise Taken(
            f"A live worker at {known.endpoint_url} is registered as {known.worker_id}; give this one another --worker-id."
        )


@async_to_sync
async def _answers(endpoint: Endpoint) -> bool:
    try:
        async with WorkerClient(timeout_s=CLAIM_CHECK_TIMEOUT_S) as client:
            await client.health(endpoint)
    except WorkerError:
        return False
    return True


@transaction.atomic
def _enter(registration: Registration, url: str, enrolled_with: EnrolmentToken | None) -> Worker:
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
    announced = _announce(registration)
    if set(worker.announced.values_list("pk", flat=True)) != announced:
        worker.announced.set(announced)
    return worker


def _announce(registration: Registration) -> set[int]:
    """The rows of what the worker can do; the newest schema counts. Written only where something is new."""
    rows = {
        row.operation_type: row for row in Capability.objects.filter(worker_type=registration.worker_type)
    }
    found = set()
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
        found.add(row.pk)
    return found


def deregister(worker_id: str, instance_id: str) -> bool:
    """The worker leaves in order: whatever is still its own is lost now rather than after a minute."""
    hooks.operations().lost({worker_id: instance_id}, "it was shut down")
    removed, _ = Worker.objects.filter(pk=worker_id, instance_id=instance_id).delete()
    if removed:
        log.info("worker deregistered", worker_id=worker_id, instance_id=instance_id)
    return removed > 0
