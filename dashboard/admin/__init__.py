"""Admin classes of all apps; imported by the admin's autodiscovery."""

from dashboard.admin import operations, workers

__all__ = ["operations", "workers"]
