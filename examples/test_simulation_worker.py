"""The tests of simulation_worker.py: a killed simulation continues, and returns what an uninterrupted one does."""

from typing import TYPE_CHECKING

from simulation_worker import SimulationWorker

if TYPE_CHECKING:
    from worker_agent.testing.running import Running

BATCHES = 60


def test_after_a_kill_it_continues_and_returns_the_same_numbers(running: "Running") -> None:
    long = {"batches": 100_000, "checkpoint_every": 20}
    killed = running(SimulationWorker)
    checkpoint = killed.start(long).wait_for_checkpoint()
    killed.kill()
    worker = running(SimulationWorker)
    parameters = {**long, "batches": checkpoint.step + BATCHES}
    resumed = worker.run(parameters, resume=checkpoint)
    assert resumed.logs == [f"Continuing after batch {checkpoint.step}"]
    assert resumed.metrics[0].step == checkpoint.step + 1
    assert resumed.result == worker.run(parameters).result


def test_a_small_volatility_loses_nothing(running: "Running") -> None:
    run = running(SimulationWorker).run({"batches": 2, "daily_volatility": 1e-6})
    assert run.result == {"probability": 0.0, "standard_error": 0.0, "paths": 100}
