"""The main function of a job's process: run the work function and send its outcome."""

import json
import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from pydantic import BaseModel

from worker_agent.job import linux
from worker_agent.job.job import Assignment, Job
from worker_agent.job.launching import Work
from worker_agent.job.output import redirect_output
from worker_agent.job.redaction import Redaction
from worker_agent.job.repair import json_object_of, text_of
from worker_agent.protocol import MAX_RESULT_BYTES, MAX_TEXT, MAX_TRACEBACK, ErrorClass, InvalidInput
from worker_agent.visible_text import protect_streams

TRACEBACK_FRAMES = 50
RESULT_FILE = "result.json"
MAX_SUMMARY_BYTES = 100_000
MAX_SUMMARY_VALUE_BYTES = 2_000


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


def run_job(work: Work, pipe: Connection, assignment: Assignment) -> None:
    """Run the work function in a session and process group of its own, killed when the parent process ends."""
    parent = os.getppid()
    os.setsid()
    linux.die_with_parent(parent)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    protect_streams()
    job = Job(pipe, assignment)
    try:
        _redirect_logs(job)
        os.chdir(assignment.directory)
        with redirect_output(job.log):
            parameters = work.parameters_model.model_validate(assignment.parameters)
            result = work.run(work.worker_class(), parameters, job)
        job.end({"outcome": "completed", "result": storable_result(result, job)})
    except BaseException as error:
        job.end({"outcome": "failed", "error": describe(error, job.redaction)})
    sys.stdout.flush()
    sys.stderr.flush()


def _redirect_logs(job: Job) -> None:
    root = logging.getLogger()
    root.handlers = [JobLogHandler(job)]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    warnings.simplefilter("default")


def storable_result(result: Any, job: Job) -> dict[str, Any]:
    """Return the result, a mapping or a model, as a JSON object within the protocol's limit; each conversion is noted in the log.

    A larger result becomes the artifact `result.json`; its summary keeps the short values. Raises TypeError.
    """
    if isinstance(result, BaseModel):
        result = result.model_dump()
    if not isinstance(result, Mapping):
        raise TypeError(f"run() must return a dict or a model, not {type(result).__name__}")
    plain = job.redaction.json_object(
        json_object_of(result, lambda note: job.log(f"Result: {note}.", "warning"))
    )
    content = json.dumps(plain, allow_nan=False)
    if len(content) <= MAX_RESULT_BYTES:
        return plain
    job.artifact(RESULT_FILE, content.encode())
    job.log(
        f"The result has {len(content)} bytes; it is stored as {RESULT_FILE}, and here as a summary.",
        "warning",
    )
    return _summary(plain)


def _summary(result: dict[str, Any]) -> dict[str, Any]:
    """The values that are short as JSON, as far as they fit, and where the others are."""
    kept: dict[str, Any] = {}
    room = MAX_SUMMARY_BYTES
    for key, value in result.items():
        size = len(json.dumps({key: value}))
        if size <= min(room, MAX_SUMMARY_VALUE_BYTES):
            kept[key] = value
            room -= size
    return {**kept, "complete_result": RESULT_FILE, "omitted": len(result) - len(kept)}


def describe(error: BaseException, redaction: Redaction) -> dict[str, Any]:
    """Return `{class, message, traceback}`, each within the protocol's limits and without secrets."""
    text = redaction.text(text_of(error))
    if isinstance(error, InvalidInput):
        return {
            "class": ErrorClass.INVALID,
            "message": _shorten(text or "invalid input", MAX_TEXT),
            "traceback": None,
        }
    return {
        "class": ErrorClass.OUT_OF_MEMORY if _is_out_of_memory(error) else ErrorClass.JOB,
        "message": _shorten(f"{type(error).__name__}: {text}" if text else type(error).__name__, MAX_TEXT),
        "traceback": _shorten(redaction.text(_traceback_of(error)), MAX_TRACEBACK),
    }


def _traceback_of(error: BaseException) -> str:
    """The formatted traceback. Notes, causes and groups may hold anything, so formatting may fail."""
    try:
        return text_of("".join(traceback.format_exception(error, limit=-TRACEBACK_FRAMES)))
    except Exception as problem:
        frames = "".join(traceback.format_tb(error.__traceback__, limit=-TRACEBACK_FRAMES))
        return text_of(f"{frames}(the exception could not be formatted: {type(problem).__name__})")


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
