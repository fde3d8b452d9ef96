"""Admin classes of all apps; imported by the admin's autodiscovery."""

from dashboard.admin import chores, operations, second_factors, strategies, studies, workers

__all__ = ["chores", "operations", "second_factors", "strategies", "studies", "workers"]
