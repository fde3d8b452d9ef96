"""Numbers, durations and times as template filters."""

from django import template

from operations.kind import kind_of
from operations.presentation import numbers

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
