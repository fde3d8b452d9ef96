"""The gallery of example strategies: a sentence and a picture for each."""

from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.utils.safestring import SafeString, mark_safe

from dashboard.pages.strategy_texts import OF_EXAMPLE, example_paths
from workers.strategy.grammar import TrainedStrategy, parse_strategy

PICTURES = settings.BASE_DIR / "examples" / "strategies" / "pictures"


@dataclass(frozen=True, slots=True)
class Example:
    name: str
    sentence: str
    is_trained: bool
    symbols: tuple[str, ...]
    timeframe: str
    picture: SafeString

    @property
    def reference(self) -> str:
        return f"{OF_EXAMPLE}{self.name}"


@cache
def list_examples() -> list[Example]:
    """Return the examples, those with a trained model first."""
    examples = []
    for name, path in example_paths().items():
        strategy = parse_strategy(path.read_text())
        picture = (PICTURES / f"{name}.svg").read_text()
        examples.append(
            Example(
                name,
                " ".join((strategy.description or "").split()),
                isinstance(strategy, TrainedStrategy),
                strategy.symbols,
                strategy.base_timeframe,
                mark_safe(picture),  # noqa: S308  (a file of the product)
            )
        )
    return sorted(examples, key=lambda example: not example.is_trained)
