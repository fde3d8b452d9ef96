"""Tasks for django-q2: short and idempotent, and nothing waits for them."""

from typing import Any

from registry.cleanup import cleanup
from registry.health import sweep


def health_sweep() -> dict[str, Any] | None:
    return sweep()


def registry_cleanup() -> dict[str, Any] | None:
    return cleanup()
