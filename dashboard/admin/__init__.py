"""Admin classes of all apps; imported by the admin's autodiscovery."""

from dashboard.admin import chores, operations, studies, workers

__all__ = ["chores", "operations", "studies", "workers"]
