"""Renders a document. Its text is part of the installation and trusted, unlike a note of a user."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from posixpath import normpath

from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from dashboard.documentation.menu import INDEX, folder, titles

ADDRESS = re.compile(r"[a-z]+:")


class _Renderer(RendererHTML):
    """Makes wide tables and blocks of code scroll, also by keyboard."""

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f'<pre tabindex="0"><code>{escape(tokens[idx].content)}</code></pre>\n'

    code_block = fence

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return '<div class="table-wrap" tabindex="0"><table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div>\n"


# Tables contain <br>.
_PARSER = MarkdownIt("commonmark", {"html": True}, renderer_cls=_Renderer).enable("table")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with the text below it, up to the next heading."""

    anchor: str
    title: str
    level: int
    text: str
    """plain, without Markdown"""


@dataclass(frozen=True, slots=True)
class Document:
    name: str
    title: str
    html: SafeString
    sections: list[Section]


@cache
def render(name: str) -> Document:
    """Render the document of this name, which `titles` must contain.

    Links to other documents lead to their pages, links to other files of the repository become plain text, and
    headings get the anchors that GitHub gives them.
    """
    tokens = _PARSER.parse((folder() / f"{name}.md").read_text(encoding="utf-8"))
    sections = list(_sections(tokens))
    for token in tokens:
        token.children = token.children and _redirect(token.children)
    html = _PARSER.renderer.render(tokens, _PARSER.options, {})
    return Document(name, sections[0].title, mark_safe(html), sections)  # noqa: S308  (the installation's own text)


def _sections(tokens: list[Token]) -> Iterable[Section]:
    """Give each heading its anchor, and collect the text below it."""
    seen: dict[str, int] = {}
    heading: Token | None = None
    title, texts = "", list[str]()
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            if heading is not None:
                yield _section(heading, title, texts)
            heading, title, texts = token, _plain(tokens[index + 1]), []
            token.attrSet("id", _anchor(title, seen))
        elif token.type == "inline" and tokens[index - 1] is not heading:
            texts.append(_plain(token))
        elif token.type in ("fence", "code_block"):
            texts.append(token.content)
    if heading is not None:
        yield _section(heading, title, texts)


def _section(heading: Token, title: str, texts: list[str]) -> Section:
    return Section(str(heading.attrGet("id")), title, int(heading.tag[1:]), " ".join(" ".join(texts).split()))


def _anchor(title: str, seen: dict[str, int]) -> str:
    """Form the anchor as GitHub does; a repeated title gets a number."""
    anchor = re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", title).strip().lower())
    number = seen.get(anchor, 0)
    seen[anchor] = number + 1
    return f"{anchor}-{number}" if number else anchor


def _plain(inline: Token) -> str:
    texts = (" " if child.type == "softbreak" else child.content for child in inline.children or [])
    return "".join(texts).replace("<br>", " ")


def _redirect(children: list[Token]) -> list[Token]:
    """Point links to the pages of the site, and leave out links to files that the site does not serve."""
    kept: list[Token] = []
    is_left_out = False
    for token in children:
        if token.type == "link_open":
            target = address_of(str(token.attrGet("href")))
            is_left_out = target is None
            token.attrSet("href", target or "")
        elif token.type == "image":
            token.attrSet("src", f"/docs/{token.attrGet('src')}")
        if not (is_left_out and token.type in ("link_open", "link_close")):
            kept.append(token)
        if token.type == "link_close":
            is_left_out = False
    return kept


def address_of(target: str) -> str | None:
    """Return the address on the site for a link of a document; None for a file that the site does not serve."""
    path, hash_sign, anchor = target.partition("#")
    if not path or ADDRESS.match(target):
        return target
    if path == "openapi.yaml":
        return reverse("api-document")
    name = path.removesuffix(".md")
    if normpath(path) != path or name == path or name not in titles():
        return None
    return page_address(name) + hash_sign + anchor


def page_address(name: str) -> str:
    return reverse("documentation") if name == INDEX else reverse("document", args=[name])
