"""Both ends of a job's pipe before the job starts: the agent sends the work, and the forked process receives it."""

import pickle
from multiprocessing import spawn
from multiprocessing.connection import Connection

from worker_agent.job.job import Assignment
from worker_agent.job.launching import Work
from worker_agent.job.main import run_job


def send_work(pipe: Connection, work: Work, assignment: Assignment) -> None:
    """Send the work, and before it what the new process needs to find the worker's class: arguments and import path."""
    preparation = spawn.get_preparation_data(f"job {assignment.operation_id}")
    preparation.pop("authkey")  # the process has the server's
    pipe.send_bytes(pickle.dumps(preparation))
    pipe.send_bytes(pickle.dumps((work, assignment)))


def run(pipe: Connection) -> None:
    """Receive the work from the agent and do it."""
    spawn.prepare(pickle.loads(pipe.recv_bytes()))  # noqa: S301  # nosec B301 # from this user's own agent
    work, assignment = pickle.loads(pipe.recv_bytes())  # noqa: S301  # nosec B301
    run_job(work, pipe, assignment)
