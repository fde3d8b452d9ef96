"""Rows of trades, built as one string: a template loop over thousands of cells takes most of a second."""

from collections.abc import Iterable

from django import template
from django.utils.safestring import SafeString, mark_safe

from operations.kinds.backtesting.report import Trade
from operations.presentation.cells import escape_cells
from operations.presentation.numbers import decimal, short, sign, signed_percent

register = template.Library()

TRADE_NUMBER = (
    '<button class="button button-plain link-like" type="button" data-centre="{0}" data-centre-end="{1}" '
    'aria-label="Show trade {2} in the chart">{2}</button>'
)
TRADE = (
    '<tr><td class="num">{number}</td><td>{}</td><td class="nowrap">{}</td><td class="nowrap">{}</td>'
    '<td class="num" data-value="{}">{}</td><td class="num" data-value="{}">{}</td>'
    '<td class="num" data-value="{}">{}</td><td class="num {}" data-value="{}">{}</td>'
    '<td class="num" data-value="{}">{}</td><td>{}</td></tr>'
)


@register.simple_tag
def trade_rows(trades: Iterable[Trade], has_chart: bool = True) -> SafeString:
    """Render trades; if there is a chart, each number is a button that centres the chart on the trade."""
    return mark_safe("".join([_trade(trade, has_chart) for trade in trades]))  # noqa: S308  (each cell is escaped)


def _trade(trade: Trade, has_chart: bool) -> str:
    return TRADE.format(
        *escape_cells((
            trade.side, trade.entry_time, trade.exit_time or "open",
            trade.quantity, short(trade.quantity), trade.entry_price, short(trade.entry_price),
            _raw(trade.exit_price), short(trade.exit_price), sign(trade.pnl), trade.pnl, decimal(trade.pnl),
            _raw(trade.share), signed_percent(trade.share, 2), trade.reason,
        )),
        number=TRADE_NUMBER.format(trade.entry_ms, trade.exit_ms, trade.number) if has_chart else trade.number,
    )  # fmt: skip


def _raw(value: float | None) -> float | str:
    return "" if value is None else value
