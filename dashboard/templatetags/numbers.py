"""Numbers, durations and times as template filters."""

from typing import Any

from django import template

from operations.presentation import numbers
from operations.registered_kinds import kind_of

register = template.Library()

for formatter in (
    numbers.percent, numbers.signed_percent, numbers.decimal, numbers.integer, numbers.short, numbers.words,
    numbers.plain, numbers.sign, numbers.duration, numbers.file_size, numbers.moment, numbers.ago, numbers.entry,
    numbers.day, numbers.minute, numbers.stored_time,
    numbers.quantity, numbers.basis_points,
):  # fmt: skip
    register.filter(formatter)


@register.filter
def kind(operation_type: str) -> str:
    """A type of operation as people call it."""
    return kind_of(operation_type).title


@register.filter
def metric(value: Any, name: str) -> str:
    """A figure of a backtest in the unit of its metric, for instance a return of 0.1 as 10.0 %."""
    return kind_of("backtesting").metric_style(name).format(value)
