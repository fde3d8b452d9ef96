"""Log configuration: an event and key-values on standard error; `KTRDR_LOG_FORMAT` is console or json."""

import logging.config
import re
from collections.abc import Callable
from typing import Any

from ktrdr_site.packages import absent
from worker_agent.visible_text import one_line, visible

with absent("greenlet", "rich"):  # rich would show tracebacks with the variables of each frame
    import structlog
    from structlog.typing import EventDict, Processor

SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

TOKEN_IN_PATH = re.compile(r"(/shared/)[\w-]+")
"""The token of a link to a result, the only secret in a path."""
COLUMNS: dict[str, Callable[[Any], str]] = {
    "timestamp": str,
    "level": "[{:<9}]".format,
    "event": str,
    "logger": "[{}]".format,
}
TRACEBACKS = ("stack", "exception")
"""These alone have several lines."""

_QUOTED = re.compile("[ \\t=\\r\\n\"']")


def formatter(form: str) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            # Plain: a traceback with the variables of each frame would write secrets to the log.
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer() if form == "json" else render_line,
            _hide_tokens,
        ],
    )


def render_line(logger: object, method: str, event: EventDict) -> str:
    """Return the event as the library's ConsoleRenderer writes it without colors, in half of its time.

    Control characters are shown, and only tracebacks have line breaks: a foreign text with one would forge another event.
    """
    tracebacks = [visible(event.pop(name)) for name in TRACEBACKS if name in event]
    texts = [write(event.pop(name)) for name, write in COLUMNS.items() if name in event]
    texts += [f"{name}={_value(event[name])}" for name in sorted(event)]
    return "\n".join([one_line(" ".join(texts).rstrip(" ")), *tracebacks])


def _value(value: object) -> str:
    is_plain = isinstance(value, str) and not _QUOTED.search(value)
    return str(value) if is_plain else repr(value)


def _hide_tokens(logger: object, method: str, line: Any) -> str:
    """Hide the tokens of links to results, so that a reader of the log cannot open them."""
    return TOKEN_IN_PATH.sub(r"\1...", line)


def logging_settings(form: str) -> dict[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": formatter, "form": form}},
        "handlers": {"standard-error": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["standard-error"], "level": "INFO"},
        "loggers": {
            # One line per request and per health check would hide everything else.
            "django_structlog": {"level": "WARNING"},
            # django_structlog already logs each refused request.
            "django.request": {"level": "ERROR"},
            "httpx": {"level": "WARNING"},
            "httpcore": {"level": "WARNING"},
            "django_q": {"level": "WARNING"},
            "django-q": {"level": "WARNING"},
        },
    }


def configure(settings: dict[str, Any]) -> None:
    """Configure structlog and logging, once for a process and those that it forks."""
    _omit_unused_fields()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(settings)


def _omit_unused_fields() -> None:
    """Leave out of each record what no line shows: to find it takes a quarter of the time of a line.

    This is how Python's logging HOWTO optimizes it.
    """
    logging._srcfile = None  # the caller's file, line and function
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
