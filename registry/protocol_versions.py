"""Protocol compatibility: the backend assigns work to workers of its own version, the one before and the one after.

Workers can therefore be upgraded one by one, before or after the backend. A worker of any other version can still
register and its reports count, so its running work is not lost; it gets no new work until either side is upgraded.
"""

from django.db.models import Q

from worker_agent import protocol

PROVING = 2
"""From this version on a worker proves its responses and repeats the secrets of its attempts."""


def oldest() -> int:
    return max(1, protocol.PROTOCOL_VERSION - 1)


def newest() -> int:
    return protocol.PROTOCOL_VERSION + 1


def negotiate(version: int) -> int:
    """Return the version that both sides use: the older of the two."""
    return min(protocol.PROTOCOL_VERSION, version)


def incompatibility(version: int) -> str:
    """Explain why a worker of this version gets no new work; empty if it does."""
    if version < oldest():
        return f"protocol {version} is too old, upgrade the worker"
    if version > newest():
        return f"protocol {version} is too new, upgrade the backend"
    return ""


def compatible() -> Q:
    """Select the workers whose protocol version may get new work."""
    return Q(protocol_version__range=(oldest(), newest()))
