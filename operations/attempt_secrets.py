"""The secret of an attempt: sent with its start, and repeated by the worker in everything about the attempt.

It is an HMAC under the site's secret key, so nothing is stored. Only the process that received the start knows it: a
report from anybody else, whatever name and token they have, changes nothing.
"""

import base64

from django.utils.crypto import constant_time_compare, salted_hmac

from operations.models import Attempt


def secret_of(attempt: Attempt) -> str:
    return secret_for(attempt.operation_id, attempt.number, attempt.worker_id)


def secret_for(operation_id: str, number: int, worker_id: str) -> str:
    """Return 256 bits in base64 for URLs."""
    text = f"{operation_id}\n{number}\n{worker_id}"
    digest = salted_hmac("ktrdr.attempt", text, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def is_proven(attempt: Attempt, given: str) -> bool:
    """Return whether `given` is the attempt's secret, or the attempt was started without one (protocol 1)."""
    return not attempt.must_prove or constant_time_compare(given, secret_of(attempt))
