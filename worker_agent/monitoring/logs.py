"""The agent's log on standard error, with the same field names as the site's log: text, or one JSON object per line
with KTRDR_LOG_FORMAT=json."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from worker_agent.trace import Trace, use_trace
from worker_agent.visible_text import one_line, visible

FORMATS = ("console", "json")
FIELDS = ("worker_id", "operation_id", "attempt", "request_id", "trace_id")
"""Added to every line; all but the first only if the line is about an operation."""

Fields = dict[str, str | int]
_operation_fields: ContextVar[Fields | None] = ContextVar("operation_fields", default=None)


def operation_fields(operation_id: str, attempt: int, trace: Trace) -> Fields:
    return {
        "operation_id": operation_id,
        "attempt": attempt,
        "request_id": trace.request_id,
        "trace_id": trace.trace_id,
    }


@contextmanager
def operation_context(operation_id: str, attempt: int, trace: Trace) -> Iterator[None]:
    """Add the operation's fields to every log line inside, and its trace to every call to the backend."""
    token = _operation_fields.set(operation_fields(operation_id, attempt, trace))
    try:
        with use_trace(trace):
            yield
    finally:
        _operation_fields.reset(token)


class AddFields(logging.Filter):
    """Adds the fields to each record. Values that the caller gave as `extra` take precedence."""

    def __init__(self, worker_id: str) -> None:
        super().__init__()
        self._worker_id = worker_id

    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in {"worker_id": self._worker_id, **(_operation_fields.get() or {})}.items():
            if not hasattr(record, name):
                setattr(record, name, value)
        return True


class TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items() if name != "worker_id")
        return one_line(f"{super().formatMessage(record)} {fields}".rstrip())

    def formatException(self, ei: Any) -> str:  # noqa: N802  (logging's name)
        return visible(super().formatException(ei))


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _fields(record: logging.LogRecord) -> Fields:
    return {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}


def configure(worker_id: str) -> None:
    """Set up logging; exit with an error message if KTRDR_LOG_FORMAT is invalid."""
    log_format = os.environ.get("KTRDR_LOG_FORMAT", "").strip() or FORMATS[0]
    if log_format not in FORMATS:
        raise SystemExit(f"KTRDR_LOG_FORMAT={log_format} cannot be used: it must be {' or '.join(FORMATS)}")
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(AddFields(worker_id))
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
