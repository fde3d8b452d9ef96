"""Finds sections of the documents by words."""

import re
from dataclasses import dataclass
from functools import cache

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from dashboard.documentation.menu import titles
from dashboard.documentation.rendering import Section, page_address, render

MAX_WORDS = 10
MAX_RESULTS = 30
EXCERPT = 200
"""Characters around the first match."""
TITLE_WEIGHT = 10


@dataclass(frozen=True, slots=True)
class Result:
    document: str
    title: str
    address: str
    excerpt: SafeString


def search(query: str) -> list[Result]:
    """Return the sections that contain every word of the query, those with matching titles first."""
    words = re.findall(r"[\w.-]+", query.casefold())[:MAX_WORDS]
    if not words:
        return []
    ranked = [(_rank(titles()[name], section, words), name, section) for name, section in _sections()]
    ranked = sorted((item for item in ranked if item[0]), key=lambda item: -item[0])
    return [
        Result(
            titles()[name],
            section.title,
            f"{page_address(name)}#{section.anchor}",
            _excerpt(section.text, words),
        )
        for _, name, section in ranked[:MAX_RESULTS]
    ]


@cache
def _sections() -> list[tuple[str, Section]]:
    return [(name, section) for name in titles() for section in render(name).sections]


def _rank(document: str, section: Section, words: list[str]) -> float:
    """Count the words, in the titles of section and document more; long sections less. 0 if the section misses a word."""
    title, text = section.title.casefold(), section.text.casefold()
    counts = [TITLE_WEIGHT * title.count(word) + text.count(word) for word in words]
    if not all(counts):
        return 0.0
    of_document = TITLE_WEIGHT * sum(document.casefold().count(word) for word in words)
    return float((sum(counts) + of_document) / (1 + len(text)) ** 0.25)


def _excerpt(text: str, words: list[str]) -> SafeString:
    """Cut the text around the first match, with the words marked."""
    pattern = re.compile("|".join(re.escape(word) for word in words), re.IGNORECASE)
    match = pattern.search(text)
    start = max(0, match.start() - EXCERPT // 4) if match else 0
    cut = text[start : start + EXCERPT]
    parts, position = [], 0
    for found in pattern.finditer(cut):
        parts += [escape(cut[position : found.start()]), f"<mark>{escape(found.group())}</mark>"]
        position = found.end()
    parts.append(escape(cut[position:]))
    before, after = "… " if start else "", " …" if start + EXCERPT < len(text) else ""
    return mark_safe(f"{before}{''.join(parts)}{after}")  # noqa: S308  (escaped above)
