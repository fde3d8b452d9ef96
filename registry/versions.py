"""Which versions of the protocol this backend gives work to: its own, the one before and the one after.

So workers may be upgraded before the backend or after it, one by one. Any other version still registers and its reports
count, so what it runs is not lost; it gets nothing new until one of the two sides has been upgraded.
"""

from django.db.models import Q

from worker_agent import protocol


def oldest() -> int:
    return max(1, protocol.PROTOCOL_VERSION - 1)


def newest() -> int:
    return protocol.PROTOCOL_VERSION + 1


def spoken_with(version: int) -> int:
    """The version that both sides use: the older of the two."""
    return min(protocol.PROTOCOL_VERSION, version)


def problem(version: int) -> str:
    """Why a worker of this version gets no new work; empty where it does."""
    if version < oldest():
        return f"protocol {version} is too old, upgrade the worker"
    if version > newest():
        return f"protocol {version} is too new, upgrade the backend"
    return ""


def fitting() -> Q:
    """Workers that may have new work, as far as the protocol goes."""
    return Q(protocol_version__range=(oldest(), newest()))
