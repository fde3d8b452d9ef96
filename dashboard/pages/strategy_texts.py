"""Texts of strategies that forms can start from: examples, saved strategies, and strategies of past operations."""

from functools import cache
from pathlib import Path

from django.conf import settings

from dashboard.pages.strategies import recent_strategies, text_of_runs
from operations import strategies
from strategies.models import SavedStrategy, StrategyVersion
from strategies.names import is_digest

EXAMPLES: Path = settings.BASE_DIR / "examples" / "strategies"
OF_EXAMPLE = "example:"
RECENT = 20
Group = tuple[str, list[tuple[str, str]]]
"""A title, and pairs of reference and text of the choice."""


def find_text(reference: str) -> str | None:
    """Return the text of `example:NAME`, of the digest of a strategy, or of the newest version of a saved one."""
    if reference.startswith(OF_EXAMPLE):
        path = example_paths().get(reference.removeprefix(OF_EXAMPLE))
        return path.read_text() if path else None
    if is_digest(reference):
        saved = StrategyVersion.objects.filter(digest=reference).values_list("text", flat=True).first()
        return saved or text_of_runs(reference)
    versions = StrategyVersion.objects.filter(
        strategy__name=reference.replace("\0", ""), strategy__deleted_at__isnull=True
    )
    return versions.order_by("-number").values_list("text", flat=True).first()


def grouped_texts() -> list[Group]:
    """Return the choices of a form, by group; a group may be empty."""
    saved = SavedStrategy.objects.filter(archived_at__isnull=True).values_list("name", "title")
    known = set(StrategyVersion.objects.values_list("digest", flat=True))
    return [
        ("Saved strategies", [(name, title or name) for name, title in saved[:RECENT]]),
        *_examples(),
        (
            "Recently used",
            [
                (digest, f"{name} ({digest[:6]})")
                for digest, name in recent_strategies(RECENT)
                if digest not in known
            ],
        ),
    ]


@cache
def example_paths() -> dict[str, Path]:
    return {path.stem: path for path in sorted(EXAMPLES.glob("*.yaml"))}


@cache
def _examples() -> tuple[Group, Group]:
    """Return the example strategies, grouped by whether they need a training."""
    groups: tuple[Group, Group] = (
        ("Examples with a trained model", []),
        ("Examples with rules, not trained", []),
    )
    for name, path in example_paths().items():
        needs = strategies.read(path.read_text(), "/strategy_yaml")
        groups[0 if needs.is_trained else 1][1].append((f"{OF_EXAMPLE}{name}", name))
    return groups
