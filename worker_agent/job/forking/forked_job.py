"""Both ends of a job's pipe before the job starts: the agent sends the work, and the forked process receives it."""

import json
import os
import pickle
from multiprocessing import spawn
from multiprocessing.connection import Connection
from typing import Any

from worker_agent.job.job import Assignment
from worker_agent.job.launching import Work
from worker_agent.job.main import describe, run_job
from worker_agent.job.redaction import Redaction
from worker_agent.protocol import ErrorClass


def send_work(pipe: Connection, work: Work, assignment: Assignment) -> None:
    """Send the work, and before it what the new process needs to find the worker's class: arguments and import path."""
    preparation = spawn.get_preparation_data(f"job {assignment.operation_id}")
    preparation.pop("authkey")  # the process has the server's
    pipe.send_bytes(pickle.dumps(preparation))
    pipe.send_bytes(pickle.dumps((work, assignment)))


def run(pipe: Connection) -> None:
    """Receive the work from the agent and do it. Work that cannot be imported is reported as failed."""
    try:
        work, assignment = _receive_work(pipe)
    except Exception as error:
        _send_failure(pipe, describe(error, Redaction(())))
        return
    run_job(work, pipe, assignment)


def _receive_work(pipe: Connection) -> tuple[Work, Assignment]:
    preparation = pickle.loads(pipe.recv_bytes())  # noqa: S301  # nosec B301 # from this user's own agent
    if not os.access(preparation["dir"], os.X_OK):  # the agent's directory, closed to the user of jobs
        preparation.pop("dir")
    spawn.prepare(preparation)
    content: tuple[Work, Assignment] = pickle.loads(pipe.recv_bytes())  # noqa: S301  # nosec B301
    return content


def refuse(pipe: Connection, reason: str) -> None:
    """Report that the job failed before its code was reached. The work is received, but not unpacked."""
    pipe.recv_bytes()
    pipe.recv_bytes()
    _send_failure(pipe, {"class": ErrorClass.JOB, "message": reason, "traceback": None})


def _send_failure(pipe: Connection, error: dict[str, Any]) -> None:
    message = {"kind": "end", "cancel_observed": False, "outcome": "failed", "error": error}
    pipe.send_bytes(json.dumps(message).encode())
