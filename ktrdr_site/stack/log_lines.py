"""Finds the warnings among the log lines of our processes, in each of the forms that they write."""

import json
import re
from dataclasses import dataclass

LEVELS = frozenset({"warning", "error", "critical"})
SITE_LINE = re.compile(r"\S+ \[(?P<level>\w+) *\] (?P<text>.*)")
"""The console form of `ktrdr_site.observability.logs`."""
WORKER_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ (?P<level>[A-Z]+) \S+: (?P<text>.*)")
"""The console form of `worker_agent.logs`."""
LOGGER = re.compile(r" +\[[\w.]+\] *")
"""Between the event and its key-values in a line of the site."""
CORRELATION = re.compile(r" (request_id|trace_id|attempt)=\S+")
ENVELOPE = frozenset(
    {"event", "level", "logger", "timestamp", "exception", "attempt", "request_id", "trace_id"}
)
"""Keys of a JSON line that a person at the terminal does not need."""


@dataclass(frozen=True, slots=True)
class LogWarning:
    level: str
    event: str
    """The sentence without its key-values: repeated warnings have the same."""
    details: str

    def __str__(self) -> str:
        return f"{self.level}: {self.event} {self.details}".rstrip()


def find_warning(line: str) -> LogWarning | None:
    """Return the warning or error that the line reports; None for every other line."""
    if line.startswith("{"):
        return _from_json(line)
    match = SITE_LINE.fullmatch(line) or WORKER_LINE.fullmatch(line)
    if match is None or (level := match["level"].lower()) not in LEVELS:
        return None
    event, *details = LOGGER.split(CORRELATION.sub("", match["text"]), maxsplit=1)
    return LogWarning(level, event, "".join(details))


def _from_json(line: str) -> LogWarning | None:
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    if not isinstance(fields, dict) or fields.get("level") not in LEVELS:
        return None
    details = " ".join(f"{name}={value}" for name, value in fields.items() if name not in ENVELOPE)
    return LogWarning(str(fields["level"]), str(fields.get("event", "")), details)
