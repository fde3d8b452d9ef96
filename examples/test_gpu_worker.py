"""The tests of gpu_worker.py, on the GPU of this machine or else on its CPU."""

from typing import TYPE_CHECKING

import torch
from gpu_worker import SpectrumWorker

if TYPE_CHECKING:
    from worker_agent.testing.running import Running


def test_the_eigenvalues_lie_near_the_limits_of_marchenko_and_pastur(running: "Running") -> None:
    worker = running(SpectrumWorker)
    run = worker.run({"assets": 200, "days": 800, "rounds": 2})
    assert run.result["device"] == ("cuda" if torch.cuda.is_available() else "cpu")
    low, high = run.result["limits"]
    assert (low, high) == (0.25, 2.25)
    assert low - 0.1 < run.result["smallest"] < run.result["largest"] < high + 0.2
    assert [point.step for point in run.metrics] == [1, 2]


def test_it_announces_its_accelerator(running: "Running") -> None:
    capabilities = running(SpectrumWorker).registration.capabilities
    assert capabilities["accelerator"] == str(capabilities.get("gpu_type", "none")).lower()
