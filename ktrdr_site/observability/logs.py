"""Log configuration: an event and key-values on standard error; `KTRDR_LOG_FORMAT` is console or json."""

import logging.config
import re
from typing import Any

from ktrdr_site.packages import absent
from worker_agent.visible_text import one_line, visible

with absent("greenlet", "rich"):  # rich would show tracebacks with the variables of each frame
    import structlog
    from structlog.dev import Column
    from structlog.typing import EventDict, Processor

SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

MULTI_LINE = ("exception", "stack")
TOKEN_IN_PATH = re.compile(r"(/shared/)[\w-]+")
"""The token of a link to a result, the only secret in a path."""

_QUOTED = re.compile("[ \\t=\\r\\n\"']")


def _value(value: object) -> str:
    is_plain = isinstance(value, str) and not _QUOTED.search(value)
    return str(value) if is_plain else repr(value)


COLUMNS = [
    Column("timestamp", lambda _, value: str(value)),
    Column("level", lambda _, value: f"[{value:<9}]"),
    Column("event", lambda _, value: str(value)),
    Column("logger", lambda _, value: f"[{value}]"),
    Column("", lambda name, value: f"{name}={_value(value)}"),
]
"""As the library writes them without colors; its own formatters take twice as long."""


def formatter(form: str) -> logging.Formatter:
    renderer: list[Processor] = [structlog.processors.format_exc_info, _hide_tokens]
    if form == "json":
        renderer += [structlog.processors.JSONRenderer()]
    else:
        renderer += [
            _show_line_breaks,
            # Plain: a traceback with the variables of each frame would write secrets to the log.
            structlog.dev.ConsoleRenderer(columns=COLUMNS, exception_formatter=structlog.dev.plain_traceback),
            lambda logger, method, line: visible(str(line)),
        ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
    )


def _hide_tokens(logger: object, method: str, event: EventDict) -> EventDict:
    """Hide the tokens of links to results, so that a reader of the log cannot open them."""
    return {
        name: TOKEN_IN_PATH.sub(r"\1...", value) if isinstance(value, str) else value
        for name, value in event.items()
    }


def _show_line_breaks(logger: object, method: str, event: EventDict) -> EventDict:
    """Keep an event on one line: a foreign text with a line break would forge another. Only a traceback has several."""
    return {
        name: one_line(value) if isinstance(value, str) and name not in MULTI_LINE else value
        for name, value in event.items()
    }


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
