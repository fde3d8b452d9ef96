"""The rows of a table of trades, rendered in one go: a template loop over thousands of cells takes most of a second."""

from collections.abc import Iterable

from django import template
from django.utils.safestring import SafeString, mark_safe

from operations.kinds.backtesting.report import Trade
from operations.presentation.cells import cells
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
def trade_rows(trades: Iterable[Trade], is_drawn: bool = True) -> SafeString:
    """Where a chart is drawn each number is a button that centres it on the trade; the table names the chart."""
    return mark_safe("".join([_trade(trade, is_drawn) for trade in trades]))  # noqa: S308  (each cell is escaped)


def _trade(trade: Trade, is_drawn: bool) -> str:
    return TRADE.format(
        *cells((
            trade.side, trade.entry_time, trade.exit_time or "open",
            trade.quantity, short(trade.quantity), trade.entry_price, short(trade.entry_price),
            _raw(trade.exit_price), short(trade.exit_price), sign(trade.pnl), trade.pnl, decimal(trade.pnl),
            _raw(trade.share), signed_percent(trade.share, 2), trade.reason,
        )),
        number=TRADE_NUMBER.format(trade.entry_ms, trade.exit_ms, trade.number) if is_drawn else trade.number,
    )  # fmt: skip


def _raw(value: float | None) -> float | str:
    return "" if value is None else value
