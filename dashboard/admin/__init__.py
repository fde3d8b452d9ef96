"""Admin classes of all apps; imported by the admin's autodiscovery."""

from dashboard.admin import chores, operations, workers

__all__ = ["chores", "operations", "workers"]
