"""A job for a GPU: eigenvalues of a random correlation matrix, beside the limits of Marchenko and Pastur (1967).

Needs torch. It runs on the CPU where the machine has no GPU. To reach only machines with one, submit it with
`"requirements": {"accelerator": "cuda"}`; with `"prefer_gpu": true` those machines are only chosen first.
"""

import time
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from worker_agent.base import Job, WorkerAPIBase
from worker_agent.monitoring import resources


class SpectrumParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    assets: int = Field(default=200, ge=2, le=20_000)
    days: int = Field(default=1000, ge=2, le=100_000)
    rounds: int = Field(default=5, ge=1, le=1000, description="Matrices")
    seed: int = Field(default=0, ge=0)


class SpectrumWorker(WorkerAPIBase):
    """Computes eigenvalues of random correlation matrices."""

    worker_type = "spectrum"
    operation_type = "spectrum"
    start_path = "/spectrum/start"
    Parameters = SpectrumParameters
    preload = ("torch",)  # imported once; CUDA itself starts in each job, because it does not survive a fork
    max_attempts = 2
    default_port = 5014

    def capabilities(self) -> dict[str, JsonValue]:
        """Called in the agent, which does not load torch: asks the driver instead."""
        machine = resources.capabilities()
        return {"accelerator": str(machine.get("gpu_type", "none")).lower()}

    def run(self, parameters: SpectrumParameters, job: Job) -> dict[str, Any]:
        import torch

        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        job.log(f"Computing on {torch.cuda.get_device_name(device) if device.type == 'cuda' else 'the CPU'}")
        numbers = torch.Generator(device).manual_seed(parameters.seed)
        smallest, largest, seconds = [], [], 0.0
        for number in range(1, parameters.rounds + 1):
            started = time.perf_counter()
            shape = (parameters.assets, parameters.days)
            returns = torch.randn(shape, generator=numbers, device=device, dtype=torch.float64)
            values = torch.linalg.eigvalsh(torch.corrcoef(returns))
            smallest.append(float(values[0]))  # waits for the device
            largest.append(float(values[-1]))
            seconds += time.perf_counter() - started
            job.metric("largest_eigenvalue", step=number, value=largest[-1])
            job.progress(100.0 * number / parameters.rounds, "matrices", number, parameters.rounds)
            if job.cancelled:
                break
        ratio = (parameters.assets / parameters.days) ** 0.5
        return {
            "device": device.type,
            "seconds_per_matrix": seconds / len(largest),
            "smallest": min(smallest),
            "largest": max(largest),
            "limits": [(1 - min(1.0, ratio)) ** 2, (1 + ratio) ** 2],
        }


if __name__ == "__main__":
    SpectrumWorker.main()
