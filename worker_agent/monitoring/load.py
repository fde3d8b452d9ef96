"""The load of the machine, and what the current job uses of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil
from pydantic import JsonValue

from worker_agent.monitoring import resources
from worker_agent.monitoring.nvidia_smi import memory_by_process
from worker_agent.monitoring.usage import Usage, measure_tree

INTERVAL_S = 5.0


@dataclass(slots=True)
class Load:
    has_gpu: bool
    job_pid: Callable[[], int | None]
    """Returns the process of the current job."""
    machine: dict[str, JsonValue] = field(default_factory=dict)
    """The newest measurement."""
    _gpu_bytes: dict[int, int] | None = None

    async def watch(self) -> None:
        """Measure the machine again and again. Never returns."""
        psutil.cpu_percent(interval=None)
        while True:
            await asyncio.sleep(INTERVAL_S)
            self.machine = await asyncio.to_thread(resources.load, self.has_gpu)
            if self.has_gpu and self.job_pid() is not None:
                self._gpu_bytes = await asyncio.to_thread(memory_by_process)

    def measure_job(self) -> Usage | None:
        """Measure the current job. Reads every process of it: do not call it in the event loop."""
        return measure_tree(self.job_pid(), self._gpu_bytes)
