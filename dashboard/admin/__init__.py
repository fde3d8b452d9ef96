"""The rooms in the Django admin; imported by its autodiscovery."""

from dashboard.admin import operations, workers

__all__ = ["operations", "workers"]
