"""The rooms of the source, for tests that read all of it."""

SITE_ROOMS = ("access", "dashboard", "ktrdr_site", "operations", "registry", "strategies", "studies")
"""Those of the control plane."""
ROOMS = (*SITE_ROOMS, "worker_agent", "workers")
