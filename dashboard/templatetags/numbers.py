"""Numbers, durations and times as template filters."""

from django import template

from operations.presentation import numbers

register = template.Library()

for formatter in (
    numbers.percent, numbers.signed_percent, numbers.decimal, numbers.whole, numbers.short, numbers.kind, numbers.words,
    numbers.plain, numbers.sign, numbers.duration, numbers.file_size, numbers.moment, numbers.ago, numbers.entry,
):  # fmt: skip
    register.filter(formatter)
