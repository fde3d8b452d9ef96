"""A site without findings."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from operations.dispatching import heartbeat
from operations.tasks import PERIODIC_TASKS
from registry.models import Sweep
from registry.schedules import ensure_schedules
from tests.registry.conftest import Neighbour, neighbour

__all__ = ["neighbour"]


@pytest.fixture
def healthy(db: None, neighbour: Neighbour, settings: Any) -> None:
    settings.DATA_DIR.chmod(0o700)
    settings.BASE_DIR = settings.DATA_DIR  # the developer's own .env must not matter
    neighbour("w-1")
    ensure_schedules(PERIODIC_TASKS)
    Sweep.objects.create(kind=Sweep.Kind.HEALTH, completed_at=Now())


@pytest.fixture
def dispatching(db: None) -> Iterator[None]:
    """Hold the lock in this session, as a dispatcher does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared(%s)", [heartbeat.LOCK_KEY])
        yield
        cursor.execute("SELECT pg_advisory_unlock_shared(%s)", [heartbeat.LOCK_KEY])
