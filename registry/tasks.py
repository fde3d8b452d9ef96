"""What django-q2 runs: short, idempotent, and nothing that anybody waits for."""

from typing import Any

from registry.cleanup import cleanup
from registry.health import sweep


def health_sweep() -> dict[str, Any] | None:
    return sweep()


def registry_cleanup() -> dict[str, Any] | None:
    return cleanup()
