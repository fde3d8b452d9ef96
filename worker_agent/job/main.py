"""The main function of a job's process: run the work function and send its outcome."""

import json
import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from pydantic import BaseModel

from worker_agent.job import linux
from worker_agent.job.job import Assignment, Job
from worker_agent.protocol import MAX_TEXT, MAX_TRACEBACK, ErrorClass, InvalidInput

TRACEBACK_FRAMES = 50


class JobLogHandler(logging.Handler):
    """Writes the log records of all libraries in the job's process to the operation's log."""

    def __init__(self, job: Job) -> None:
        super().__init__(logging.INFO)
        self._job = job

    def emit(self, record: logging.LogRecord) -> None:
        level = {logging.WARNING: "warning", logging.ERROR: "error", logging.CRITICAL: "error"}.get(
            record.levelno, "info"
        )
        self._job.log(f"{record.name}: {record.getMessage()}", level)


def run_job(
    run: Callable[[Any, Any, Job], dict[str, Any]],
    worker_class: Callable[[], Any],
    parameters_model: type[BaseModel],
    pipe: Connection,
    assignment: Assignment,
) -> None:
    """Run the work function in a session and process group of its own, killed when the parent process ends."""
    parent = os.getppid()
    os.setsid()
    linux.die_with_parent(parent)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    job = Job(pipe, assignment)
    _redirect_logs(job)
    os.chdir(assignment.directory)
    try:
        parameters = parameters_model.model_validate(assignment.parameters)
        result = run(worker_class(), parameters, job)
        job.end({"outcome": "completed", "result": _json_object(result)})
    except BaseException as error:
        job.end({"outcome": "failed", "error": describe(error)})
    sys.stdout.flush()
    sys.stderr.flush()


def _redirect_logs(job: Job) -> None:
    root = logging.getLogger()
    root.handlers = [JobLogHandler(job)]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    warnings.simplefilter("default")


def _json_object(result: Any) -> dict[str, Any]:
    """Return the result after a round trip through JSON. Raises TypeError and ValueError with the reason."""
    if not isinstance(result, dict):
        raise TypeError(f"run() must return a dict of JSON values, not {type(result).__name__}")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(result, allow_nan=False))
    except ValueError as error:
        raise ValueError(f"run() returned a value that is not valid JSON: {error}") from error
    return plain


def describe(error: BaseException) -> dict[str, Any]:
    """Return `{class, message, traceback}`, each within the protocol's limits."""
    if isinstance(error, InvalidInput):
        return {
            "class": ErrorClass.INVALID,
            "message": _shorten(str(error) or "invalid input", MAX_TEXT),
            "traceback": None,
        }
    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return {
        "class": ErrorClass.OUT_OF_MEMORY if _is_out_of_memory(error) else ErrorClass.JOB,
        "message": _shorten(message, MAX_TEXT),
        "traceback": _shorten(
            "".join(traceback.format_exception(error, limit=-TRACEBACK_FRAMES)), MAX_TRACEBACK
        ),
    }


def _is_out_of_memory(error: BaseException) -> bool:
    # The second is torch's, for GPU memory; the agent does not import torch.
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _shorten(text: str, limit: int) -> str:
    """Cut the middle out of a text longer than `limit`."""
    if len(text) <= limit:
        return text
    mark = f"\n... {len(text) - limit + 60} characters cut ...\n"
    half = (limit - len(mark)) // 2
    return text[:half] + mark + text[-half:]
