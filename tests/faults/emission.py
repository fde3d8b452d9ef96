"""Jobs that report generated content through the job's own interface."""

import json
from contextlib import suppress
from typing import Any

from worker_agent.base import Job


def emit(job: Job, text: str) -> Any:
    """Call the job as the JSON text describes, then return its result or raise its error. Surrogates are escaped in it."""
    plan = json.loads(text)
    for call, values in plan["calls"]:
        # The interface refuses some values: then the job goes on, like one that catches the error.
        with suppress(ValueError, TypeError, OverflowError):
            _call(job, call, values)
    if "error" in plan:
        error = RuntimeError(plan["error"])
        error.add_note(plan["error"])
        raise error
    return plan["result"]


def _call(job: Job, call: str, values: dict[str, Any]) -> None:
    match call:
        case "artifact":
            job.artifact(values["name"], b"content")
        case "checkpoint":
            job.checkpoint(values["step"], {values["name"]: b"content"})
        case _:
            getattr(job, call)(**values)
