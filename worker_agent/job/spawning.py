"""Start a job in a new interpreter, where forking a process with loaded libraries is unsafe."""

import multiprocessing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from worker_agent.job import process_tree
from worker_agent.job.job import Assignment
from worker_agent.job.launching import Exit, Work
from worker_agent.job.main import run_job


@dataclass(slots=True)
class SpawnedJob:
    process: BaseProcess
    pid: int

    def wait(self, timeout_s: float | None) -> Exit | None:
        self.process.join(timeout_s)
        if self.process.exitcode is None:
            return None
        process_tree.kill_group(self.pid)
        return Exit(self.process.exitcode)


class Spawner:
    def ensure_running(self) -> None:
        """Do nothing: without a server there is nothing to start."""

    def launch(self, work: Work, assignment: Assignment) -> tuple[SpawnedJob, Connection]:
        context = multiprocessing.get_context("spawn")
        agent_end, job_end = context.Pipe(duplex=True)
        process = context.Process(
            target=run_job,
            args=(work, job_end, assignment),
            name=f"job {assignment.operation_id}",
            daemon=False,
        )
        process.start()
        job_end.close()
        assert process.pid is not None, "the process has been started"
        return SpawnedJob(process, process.pid), agent_end
