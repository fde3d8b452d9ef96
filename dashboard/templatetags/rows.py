"""Rows of long tables, built as one string: a template loop over thousands of cells takes most of a second."""

from collections.abc import Iterable
from html import escape

from django import template
from django.utils.safestring import SafeString, mark_safe

from dashboard.templatetags.icons import icon, status_word
from dashboard.templatetags.links import operation_url
from operations.models import LogLine, Operation
from operations.presentation.cells import escape_cells
from operations.presentation.charts import Table
from operations.presentation.numbers import short, stored_time
from operations.registered_kinds import kind_of
from operations.states import Status

register = template.Library()

LOG_LINE = (
    '<div class="log-line log-{level}" id="L{id}"><a href="#L{id}" aria-label="Link to line {seq} of attempt {attempt}">{attempt}.{seq}</a>'
    '<time datetime="{iso}" title="{day} {clock} UTC" data-moment="time">{clock}</time>'
    '<span class="log-level">{level}</span><span class="log-text">{text}</span></div>'
)
RUN = (
    '<a class="run-{status}" href="{url}" title="{kind}: {word}" aria-label="{kind} {id}: {word}">{mark}</a>'
)
MARKS = {
    Status.COMPLETED: "check",
    Status.FAILED: "cross",
    Status.CANCELLED: "ban",
    Status.PENDING: "clock",
}


@register.simple_tag
def table_rows(table: Table) -> SafeString:
    """The body of a chart's table: the first column is the row's name or time, the others are numbers."""
    row = "<tr><td>{}</td>" + '<td class="num">{}</td>' * (len(table.columns) - 1) + "</tr>"
    cells = ([short(stored_time(first)), *map(short, others)] for first, *others in table.rows)
    return mark_safe("".join([row.format(*escape_cells(texts)) for texts in cells]))  # noqa: S308  (each cell is escaped)


@register.simple_tag
def run_strip(runs: Iterable[Operation]) -> SafeString:
    """Each run as an icon that links to it."""
    return mark_safe(f'<span class="strip">{"".join([_run(run) for run in runs])}</span>')  # noqa: S308  (likewise)


def _run(run: Operation) -> str:
    return RUN.format(
        status=run.status, word=status_word(run.status), url=operation_url(run.pk), id=run.pk,
        kind=escape(kind_of(run.operation_type).title), mark=icon(MARKS.get(Status(run.status), "running")),
    )  # fmt: skip


@register.simple_tag
def log_rows(lines: Iterable[LogLine]) -> SafeString:
    """Log lines, each with its own anchor; a script may convert the times to the local zone."""
    return mark_safe("".join([_log_line(line) for line in lines]))  # noqa: S308  (its text is escaped)


def _log_line(line: LogLine) -> str:
    iso = line.time.isoformat()
    return LOG_LINE.format(
        level=escape(line.level), id=line.pk, attempt=line.attempt, seq=line.seq,
        iso=iso, day=iso[:10], clock=iso[11:19], text=escape(line.message),
    )  # fmt: skip
