"""Rows of long tables, made in one go: a template that loops over thousands of cells takes most of a second for it."""

from collections.abc import Iterable

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from operations.models import LogLine
from operations.pages.backtest_report import Trade
from operations.pages.charts import Table
from operations.templatetags.figures import decimal, short, sign, signed_percent

register = template.Library()

MARGIN_MS = 30 * 86_400_000
"""At least so much is shown before and after a trade that the chart is centred on."""


@register.simple_tag
def table_rows(table: Table) -> SafeString:
    """The body of a table of a chart: the first column names the row, the others are figures."""
    return format_html_join(
        "",
        "<tr><td>{}</td>{}</tr>",
        (
            (
                short(row[0]),
                format_html_join("", '<td class="num">{}</td>', ((short(cell),) for cell in row[1:])),
            )
            for row in table.rows
        ),
    )


@register.simple_tag
def log_rows(lines: Iterable[LogLine]) -> SafeString:
    """Each line with an anchor of its own; a script may show its time in the reader's zone."""
    return format_html_join(
        "",
        '<div class="log-line log-{}" id="L{}"><a href="#L{}" aria-label="Link to line {}.{}">{}</a>'
        '<time datetime="{}" title="{} UTC" data-moment="time">{}</time>'
        '<span class="log-level">{}</span><span class="log-text">{}</span></div>',
        (
            (
                line.level, line.pk, line.pk, line.attempt, line.seq, line.seq,
                line.time.isoformat(), f"{line.time:%Y-%m-%d %H:%M:%S}", f"{line.time:%H:%M:%S}",
                line.level, line.message,
            )
            for line in lines
        ),
    )  # fmt: skip


@register.simple_tag
def trade_rows(trades: Iterable[Trade], chart: str = "") -> SafeString:
    """With `chart` (an element's id), each number is a button that centres that chart on the trade."""
    return format_html_join(
        "",
        '<tr><td class="num" data-value="{}">{}</td><td>{}</td><td class="nowrap">{}</td><td class="nowrap">{}</td>'
        '<td class="num" data-value="{}">{}</td><td class="num" data-value="{}">{}</td>'
        '<td class="num" data-value="{}">{}</td><td class="num {}" data-value="{}">{}</td>'
        '<td class="num" data-value="{}">{}</td><td>{}</td></tr>',
        (
            (
                trade.number, _number(trade, chart), trade.side, trade.entry_time, trade.exit_time or "open",
                trade.quantity, short(trade.quantity), trade.entry_price, short(trade.entry_price),
                _raw(trade.exit_price), short(trade.exit_price), sign(trade.pnl), trade.pnl, decimal(trade.pnl),
                _raw(trade.share), signed_percent(trade.share, 2), trade.reason,
            )
            for trade in trades
        ),
    )  # fmt: skip


def _raw(value: float | None) -> float | str:
    return "" if value is None else value


def _number(trade: Trade, chart: str) -> SafeString | int:
    if not chart:
        return trade.number
    return format_html(
        '<button class="button button-plain link-like" type="button" data-centre="{}" data-centre-end="{}" '
        'data-centre-margin="{}" data-centre-chart="{}" aria-label="Show trade {} in the chart">{}</button>',
        trade.entry_ms,
        trade.exit_ms,
        MARGIN_MS,
        chart,
        trade.number,
        trade.number,
    )
