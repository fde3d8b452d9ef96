"""The agent that every KTRDR worker is built on."""

__version__ = "0.2.0"
"""Of KTRDR as a whole: site, agent and workers are released together."""
