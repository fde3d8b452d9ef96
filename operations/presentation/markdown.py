"""Renders notes in Markdown, and cleans HTML of jobs. Raw HTML in notes is shown as text, and what remains is cleaned again."""

from collections.abc import Sequence

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

TAGS = {
    "p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "h3", "h4", "h5", "h6",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
"""No images: a note must not load anything."""
SCHEMES = {"http", "https", "mailto"}
LEVELS = 2
"""Headings of a note are below those of its page."""

_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def render_markdown(text: str) -> SafeString:
    """Return the note as HTML that is safe to show."""
    tokens = _PARSER.parse(text)
    _lower_headings(tokens)
    return clean_html(_PARSER.renderer.render(tokens, _PARSER.options, {}))


def clean_html(html: str) -> SafeString:
    """Return HTML of anybody without scripts, styles, pictures and the headings that belong to the page."""
    clean = nh3.clean(
        html,
        tags=TAGS,
        attributes={"a": {"href"}},
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(clean)  # noqa: S308  (cleaned by nh3)


def _lower_headings(tokens: Sequence[Token]) -> None:
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + LEVELS, 6)}"
