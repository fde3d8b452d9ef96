"""Colours for YAML, made on the server."""

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
    found = LINE.match(body)
    shown = (
        format_html(
            '{}<span class="y-key">{}</span>{}{}',
            found["lead"],
            found["key"],
            found["colon"],
            _value(found["rest"]),
        )
        if found
        else _value(body)
    )
    if not hash_sign:
        return shown
    return format_html('{}<span class="y-comment">{}</span>', shown, hash_sign + comment)


def _value(text: str) -> SafeString | str:
    if NUMBER.match(text):
        return format_html('<span class="y-number">{}</span>', text)
    if text.strip() and text.strip() not in ("|", ">") and not text.strip().startswith("- "):
        return format_html('<span class="y-string">{}</span>', text)
    return text
