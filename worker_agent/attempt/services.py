"""The parts of the agent that an attempt uses."""

import asyncio
from dataclasses import dataclass

from worker_agent.backend.client import BackendClient
from worker_agent.backend.file_cache import FileCache
from worker_agent.backend.registrar import Registrar
from worker_agent.job.launching import Launcher


@dataclass(frozen=True, slots=True)
class Services:
    """Created by the agent and shared by its attempts."""

    instance_id: str
    client: BackendClient
    registrar: Registrar
    cache: FileCache
    launcher: Launcher
    """Starts the job processes."""
    leaving: asyncio.Event
    """Set when the agent is shutting down."""
