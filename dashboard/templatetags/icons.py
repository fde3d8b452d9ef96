"""Icons and status chips. A status is always an icon and a word, never only a colour."""

from functools import cache

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from operations.states import Status
from registry.models import WorkerStatus
from studies.states import StudyStatus

register = template.Library()

# Paths on a 16 x 16 grid, drawn with strokes.
SHAPES = {
    "check": '<path d="M3 8.5l3.3 3.3L13 4.8"/>',
    "cross": '<path d="M4 4l8 8M12 4l-8 8"/>',
    "clock": '<circle cx="8" cy="8" r="6"/><path d="M8 4.8V8l2.2 1.6"/>',
    "running": '<path d="M14 8a6 6 0 1 1-3.2-5.3"/><path d="M14 2.4v3h-3"/>',
    "stop": '<rect x="4" y="4" width="8" height="8" rx="1"/>',
    "send": '<path d="M2.5 8h9.5M8.5 4.5L12 8l-3.5 3.5"/>',
    "warning": '<path d="M8 2.3l6 10.9H2z"/><path d="M8 6.4v3M8 11.3v.1"/>',
    "info": '<circle cx="8" cy="8" r="6"/><path d="M8 7.4v3.4M8 5.1v.1"/>',
    "help": '<circle cx="8" cy="8" r="6"/><path d="M6.3 6.4a1.7 1.7 0 1 1 2.5 1.5c-.6.3-.8.7-.8 1.3M8 11.3v.1"/>',
    "pause": '<path d="M5.5 4v8M10.5 4v8"/>',
    "idle": '<circle cx="8" cy="8" r="5.5"/>',
    "ban": '<circle cx="8" cy="8" r="6"/><path d="M3.8 3.8l8.4 8.4"/>',
    "away": '<path d="M2 6c3.6-3.3 8.4-3.3 12 0M4.4 8.6c2.2-1.9 5-1.9 7.2 0M8 12v.1M2.5 2.5l11 11"/>',
    "plus": '<path d="M8 3.5v9M3.5 8h9"/>',
    "theme": '<circle cx="8" cy="8" r="5.7"/><path d="M8 2.3v11.4M8 5l4.6-1M8 8h5.7M8 11l4.6 1"/>',
    "person": '<circle cx="8" cy="5.3" r="2.8"/><path d="M2.8 13.6c.6-2.7 2.6-4.2 5.2-4.2s4.6 1.5 5.2 4.2"/>',
    "link": '<path d="M6.5 9.5l3-3M7 4.8l1.6-1.6a2.9 2.9 0 0 1 4.2 4.2L11.2 9M9 11.2l-1.6 1.6a2.9 2.9 0 0 1-4.2-4.2L4.8 7"/>',
    "download": '<path d="M8 2.5v8M4.8 7.5L8 10.7l3.2-3.2M3 13.5h10"/>',
    "brand": '<path d="M2 12.5l3.6-5 2.9 2.6L14 3.5"/><path d="M10.3 3.5H14v3.7"/>',
}

OPERATION_LOOK = {
    Status.PENDING: ("", "clock", "Pending"),
    Status.DISPATCHING: ("status-live", "send", "Dispatching"),
    Status.RUNNING: ("status-live", "running", "Running"),
    Status.CANCELLING: ("status-warn", "stop", "Cancelling"),
    Status.COMPLETED: ("status-good", "check", "Completed"),
    Status.FAILED: ("status-bad", "cross", "Failed"),
    Status.CANCELLED: ("", "ban", "Cancelled"),
}
WORKER_LOOK = {
    WorkerStatus.AVAILABLE: ("status-good", "idle", "Available"),
    WorkerStatus.BUSY: ("status-live", "running", "Busy"),
    WorkerStatus.TEMPORARILY_UNAVAILABLE: ("status-warn", "away", "Unavailable"),
}
STUDY_LOOK = {
    StudyStatus.RUNNING: ("status-live", "running", "Running"),
    StudyStatus.PAUSED: ("status-warn", "pause", "Paused"),
    StudyStatus.REPORTING: ("status-live", "running", "Reporting"),
    StudyStatus.COMPLETED: ("status-good", "check", "Completed"),
    StudyStatus.FAILED: ("status-bad", "cross", "Failed"),
    StudyStatus.CANCELLED: ("", "ban", "Cancelled"),
}
OUTCOME_LOOK = {
    "": ("status-live", "running", "Active"),
    "completed": ("status-good", "check", "Completed"),
    "failed": ("status-bad", "cross", "Failed"),
    "cancelled": ("", "ban", "Cancelled"),
    "interrupted": ("status-warn", "pause", "Interrupted"),
    "rejected": ("", "send", "Rejected"),
    "lost": ("status-bad", "away", "Lost"),
}
WORKER_LABELS = {status.value: label for status, (_, _, label) in WORKER_LOOK.items()}


@register.simple_tag
@cache
def icon(name: str) -> SafeString:
    shape = mark_safe(SHAPES[name])  # noqa: S308  (a constant of this module)
    return format_html('<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">{}</svg>', shape)


@cache
def _chip(look: tuple[str, str, str]) -> SafeString:
    tone, shape, word = look
    return format_html('<span class="status {}">{}{}</span>', tone, icon(shape), word)


@register.filter
def operation_status(status: str) -> SafeString:
    return _chip(OPERATION_LOOK[Status(status)])


@register.filter
def status_word(status: str) -> str:
    """The word of an operation's status, as in its chip."""
    return OPERATION_LOOK[Status(status)][2]


@register.filter
def study_status(status: str) -> SafeString:
    return _chip(STUDY_LOOK[StudyStatus(status)])


@register.filter
def worker_status(status: str) -> SafeString:
    return _chip(WORKER_LOOK[WorkerStatus(status)])


@register.filter
def outcome(value: str) -> SafeString:
    return _chip(OUTCOME_LOOK[value])


@register.simple_tag
def chip(tone: str, shape: str, word: str) -> SafeString:
    """A chip with any icon and word; `tone` is good, bad, warn, live or empty."""
    return _chip((f"status-{tone}" if tone else "", shape, word))
