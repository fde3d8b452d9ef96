"""The agent's log, on standard error: the names that the site's own lines have, as text or, with
KTRDR_LOG_FORMAT=json, one JSON object a line."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from worker_agent.trace import Trace, belonging_to

FORMS = ("console", "json")
NAMES = ("worker_id", "operation_id", "attempt", "request_id", "trace_id")
"""On every line, as far as it is about an operation."""

Names = dict[str, str | int]
_speaking_of: ContextVar[Names | None] = ContextVar("speaking_of", default=None)


def names_of(operation_id: str, attempt: int, trace: Trace) -> Names:
    return {
        "operation_id": operation_id,
        "attempt": attempt,
        "request_id": trace.request_id,
        "trace_id": trace.trace_id,
    }


@contextmanager
def speaking_of(operation_id: str, attempt: int, trace: Trace) -> Iterator[None]:
    """Every line inside names the operation, and every call to the backend carries its trace."""
    before = _speaking_of.set(names_of(operation_id, attempt, trace))
    try:
        with belonging_to(trace):
            yield
    finally:
        _speaking_of.reset(before)


class AddNames(logging.Filter):
    """What the caller gave as `extra` goes before what is bound."""

    def __init__(self, worker_id: str) -> None:
        super().__init__()
        self._worker_id = worker_id

    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in {"worker_id": self._worker_id, **(_speaking_of.get() or {})}.items():
            if not hasattr(record, name):
                setattr(record, name, value)
        return True


class AsText(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        names = " ".join(f"{name}={value}" for name, value in _names(record).items() if name != "worker_id")
        return f"{super().formatMessage(record)} {names}".rstrip()


class AsJson(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_names(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _names(record: logging.LogRecord) -> Names:
    return {name: getattr(record, name) for name in NAMES if hasattr(record, name)}


def configure(worker_id: str) -> None:
    """Ends the process with a sentence where KTRDR_LOG_FORMAT cannot be used."""
    form = os.environ.get("KTRDR_LOG_FORMAT", "").strip() or FORMS[0]
    if form not in FORMS:
        raise SystemExit(f"KTRDR_LOG_FORMAT={form} cannot be used: it must be {' or '.join(FORMS)}")
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(AddNames(worker_id))
    handler.setFormatter(AsJson() if form == "json" else AsText())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
