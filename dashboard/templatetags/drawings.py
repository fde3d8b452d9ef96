"""Small SVG charts from the server; they work without JavaScript and in print."""

from collections.abc import Sequence
from typing import Protocol

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()


class Stretch(Protocol):
    """A part of the span, as shares of it."""

    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...


@register.simple_tag
def spark_line(
    values: Sequence[float | None], label: str = "", low: float | None = None, high: float | None = None
) -> SafeString:
    """A line through `values` (missing ones skipped), by default in its own range."""
    present = [(index, value) for index, value in enumerate(values) if value is not None]
    if len(present) < 2:
        return format_html("")
    low = min(value for _, value in present) if low is None else low
    highest = max(value for _, value in present)
    high = highest if high is None else max(high, highest)
    span = (high - low) or 1.0
    last = max(len(values) - 1, 1)
    points = " ".join(
        f"{index / last * 100:.2f},{28 - (value - low) / span * 26:.2f}" for index, value in present
    )
    return format_html(
        '<svg class="spark" viewBox="0 0 100 30" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<polyline class="spark-line" points="{}"/></svg>',
        label,
        points,
    )


@register.simple_tag
def spark_bars(values: Sequence[float], label: str = "") -> SafeString:
    """One bar per value, from zero; negative bars have the colour of a loss."""
    if not values:
        return format_html("")
    high, low = max(max(values), 0.0), min(min(values), 0.0)
    span = (high - low) or 1.0
    width = 100 / len(values)
    zero = 29 * high / span
    bars = format_html_join(
        "",
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>',
        (
            (
                "spark-bar" if value >= 0 else "spark-bar-bad",
                f"{index * width + width * 0.1:.2f}",
                f"{zero - max(value, 0) / span * 29:.2f}",
                f"{width * 0.8:.2f}",
                f"{abs(value) / span * 29:.2f}",
            )
            for index, value in enumerate(values)
        ),
    )
    return format_html(
        '<svg class="spark" viewBox="0 0 100 30" preserveAspectRatio="none" role="img" aria-label="{}">{}'
        '<line class="spark-base" x1="0" x2="100" y1="{}" y2="{}"/></svg>',
        label,
        bars,
        f"{zero:.2f}",
        f"{zero:.2f}",
    )


@register.simple_tag
def share_bar(share: float | None, label: str = "") -> SafeString:
    """A horizontal bar filled to `share` (0 to 1); a negative share has the colour of a loss."""
    value = max(min(share or 0.0, 1.0), -1.0)
    return format_html(
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="bar-track" width="100" height="10"/><rect class="{}" width="{}" height="10"/></svg>',
        label or f"{100 * value:.0f} %",
        "bar-fill" if value >= 0 else "bar-negative",
        f"{abs(value) * 100:.2f}",
    )


@register.simple_tag
def lane(blocks: Sequence[tuple[float, float, str, str]], label: str = "") -> SafeString:
    """A time line of blocks (start and end as shares of the span, outcome, title)."""
    rects = format_html_join(
        "",
        '<rect class="lane-{}" x="{}" y="0" width="{}" height="20"><title>{}</title></rect>',
        ((kind, f"{a * 100:.2f}", f"{max((b - a) * 100, 0.4):.2f}", title) for a, b, kind, title in blocks),
    )
    return format_html(
        '<svg class="lane" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        label,
        rects,
    )


@register.simple_tag
def coverage(
    start: float,
    end: float,
    label: str = "",
    selected_from: float | str = "",
    selected_to: float | str = "",
    seen: Stretch | str | None = None,
) -> SafeString:
    """The covered part from `start` to `end` (shares of the span), with a frame around the selected dates.

    `seen`: the part that a model was trained on, drawn in amber.
    """
    amber = (
        ""
        if not seen or isinstance(seen, str)
        else format_html(
            '<rect class="coverage-seen" x="{}" y="2" width="{}" height="6"/>',
            f"{seen.start * 100:.2f}",
            f"{max((seen.end - seen.start) * 100, 0.5):.2f}",
        )
    )
    frame = (
        format_html(
            '<rect class="coverage-chosen" x="{}" y="0.5" width="{}" height="9"/>',
            f"{selected_from * 100:.2f}",
            f"{max((selected_to - selected_from) * 100, 0.5):.2f}",
        )
        if isinstance(selected_from, float) and isinstance(selected_to, float)
        else ""
    )
    return format_html(
        '<svg class="coverage" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="bar-track" width="100" height="10"/>'
        '<rect class="coverage-part" x="{}" width="{}" height="10"/>{}{}</svg>',
        label,
        f"{start * 100:.2f}",
        f"{max((end - start) * 100, 0.5):.2f}",
        amber,
        frame,
    )


@register.simple_tag
def line_chart(
    lines: Sequence[tuple[str, Sequence[float | None]]],
    label: str,
    low: float | None = None,
    high: float | None = None,
) -> SafeString:
    """Draw named lines of equal length in one range, by default their own; the first four have colours of their own."""
    present = [value for _, values in lines for value in values if value is not None]
    if not present:
        return format_html("")
    low = min(present) if low is None else low
    high = max(present) if high is None else high
    span = (high - low) or 1.0
    drawn = format_html_join(
        "",
        '<polyline class="line line-{}" points="{}"/>',
        (
            (
                number,
                " ".join(
                    f"{place / max(len(values) - 1, 1) * 320:.1f},{78 - (value - low) / span * 76:.1f}"
                    for place, value in enumerate(values)
                    if value is not None
                ),
            )
            for number, (_, values) in enumerate(lines, 1)
        ),
    )
    return format_html(
        '<svg class="lines" viewBox="0 0 320 80" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        label,
        drawn,
    )
