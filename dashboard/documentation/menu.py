"""The documents in the order of their menu, and the one that explains a page of the site."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from django.conf import settings

INDEX = "README"
DOCUMENT_OF_VIEW = {
    "overview": "quickstart",
    "operations": "operating",
    "operation": "concepts",
    "runs": "runs",
    "tags": "runs",
    "tag": "runs",
    "compare": "runs",
    "workers": "operating",
    "worker": "operating",
    "market_data": "market-data",
    "market_data_of": "market-data",
    "strategies": "strategies",
    "strategy": "strategies",
    "examples": "strategies",
    "strategy_diff": "strategies",
    "new_strategy": "strategy-grammar",
    "new_operation": "strategy-grammar",
    "clone": "strategy-grammar",
    "studies": "studies",
    "study": "studies",
    "new_study": "studies",
    "schedules": "schedules",
    "schedule": "schedules",
    "new_schedule": "schedules",
    "seed_runs": "runs",
    "seed_run": "runs",
    "new_seed_run": "runs",
    "notifications": "notifications",
    "notification": "notifications",
    "tokens": "security",
    "users": "security",
}
"""Name of a view -> name of the document that explains it; other pages lead to the index."""


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    title: str


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    """empty for the index"""
    entries: list[Entry]


def folder() -> Path:
    return Path(settings.BASE_DIR, "docs")


@cache
def read_menu() -> list[Group]:
    """Read the menu of the documentation's site, so that both have the same order and titles."""
    text = Path(settings.BASE_DIR, "mkdocs.yml").read_text(encoding="utf-8")
    return [_group(item) for item in yaml.safe_load(text)["nav"]]


def _group(item: str | dict[str, list[dict[str, str]]]) -> Group:
    if isinstance(item, str):
        return Group("", [Entry(Path(item).stem, "Contents")])
    [(title, entries)] = item.items()
    return Group(title, [Entry(Path(file).stem, name) for entry in entries for name, file in entry.items()])


@cache
def titles() -> dict[str, str]:
    """Return the title of each document by its name."""
    return {entry.name: entry.title for group in read_menu() for entry in group.entries}


def document_of(view_name: str | None) -> str:
    """Return the name of the document that explains the pages of a view."""
    return DOCUMENT_OF_VIEW.get(view_name or "", INDEX)
