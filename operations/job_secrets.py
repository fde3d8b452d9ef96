"""Hands stored secrets to a job: only to the process that received the start of the operation's current attempt."""

import structlog
from django.utils.crypto import constant_time_compare

from operations import attempt_secrets
from operations.models import Attempt
from registry import worker_secrets
from registry.encryption import Unreadable
from registry.models import Worker
from worker_agent.protocol import SecretsRequest

log = structlog.get_logger(__name__)


class NotCurrent(Exception):
    """The request is not from the process that runs the operation's current attempt."""


class Withheld(Exception):
    """A secret is not granted to the worker's type, or it cannot be decrypted."""


def hand_out(operation_id: str, worker: Worker, request: SecretsRequest) -> dict[str, str]:
    """Return name -> value. Raises NotCurrent, Withheld.

    Unlike for files, the secret of the attempt is required from every worker: one of protocol 1 gets no secrets.
    """
    attempt = Attempt.objects.filter(
        operation_id=operation_id, number=request.attempt, worker_id=worker.pk, ended_at__isnull=True
    ).first()
    if (
        attempt is None
        or attempt.instance_id != request.instance_id
        or not constant_time_compare(request.attempt_secret, attempt_secrets.secret_of(attempt))
    ):
        raise NotCurrent(
            "This is not the operation's current attempt, or not the process that received its start."
        )
    try:
        secrets = worker_secrets.read(worker.worker_type, request.names)
    except (worker_secrets.NotGranted, Unreadable) as error:
        raise Withheld(str(error)) from error
    log.info(
        "secrets handed to a job", operation_id=operation_id, worker_id=worker.pk, names=list(request.names)
    )
    return secrets
