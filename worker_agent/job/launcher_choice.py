"""Chooses how jobs are started: forked from a warm server on Linux, spawned elsewhere."""

import os
import sys
from pathlib import Path

from worker_agent.job.forking.client import OwnServer, SharedServer
from worker_agent.job.launching import Launcher
from worker_agent.job.spawning import Spawner
from worker_agent.job.thread_limits import limit_threads

SOCKET_VARIABLE = "KTRDR_FORK_SERVER"
"""Path of the socket of a fork server that several agents share; without it an agent starts its own."""


def create_launcher(worker_id: str, data_dir: Path, preload: tuple[str, ...], warm_up: str) -> Launcher:
    """Return the launcher of this system: on Linux it forks, elsewhere it spawns.

    On macOS forking is unsafe after such imports.
    """
    limit_threads()
    if sys.platform != "linux":
        return Spawner()
    shared = os.environ.get(SOCKET_VARIABLE)
    return SharedServer(Path(shared)) if shared else OwnServer(worker_id, data_dir, preload, warm_up)
