"""Syntax highlighting of YAML on the server."""

import re

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()

LINE = re.compile(r"^(?P<lead>\s*(?:- )?)(?P<key>[\w.\-]+)(?P<colon>:)(?P<rest>.*)$")
NUMBER = re.compile(r"^\s*-?\d[\d_.eE+-]*\s*$")


@register.filter
def yaml(text: str) -> SafeString:
    return format_html_join("\n", "{}", ((_line(line),) for line in str(text).splitlines()))


def _line(line: str) -> SafeString | str:
    if line.lstrip().startswith("#"):
        return format_html('<span class="y-comment">{}</span>', line)
    body, hash_sign, comment = line.partition(" #")
    match = LINE.match(body)
    highlighted = (
        format_html(
            '{}<span class="y-key">{}</span>{}{}',
            match["lead"],
            match["key"],
            match["colon"],
            _value(match["rest"]),
        )
        if match
        else _value(body)
    )
    if not hash_sign:
        return highlighted
    return format_html('{}<span class="y-comment">{}</span>', highlighted, hash_sign + comment)


def _value(text: str) -> SafeString | str:
    if NUMBER.match(text):
        return format_html('<span class="y-number">{}</span>', text)
    if text.strip() and text.strip() not in ("|", ">") and not text.strip().startswith("- "):
        return format_html('<span class="y-string">{}</span>', text)
    return text
