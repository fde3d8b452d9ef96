"""The results of types that only workers know: a worker chose their names and values."""

from collections.abc import Mapping
from typing import Any

from operations.headline import Headline
from operations.presentation.numbers import plain, words
from worker_agent.visible_text import one_line

MAX_SHOWN = 40
"""Characters of a name, and of a value, in a list."""


def headline(result: Mapping[str, Any]) -> Headline | None:
    """Return the first number at the top of the result, or else its first text or truth value."""
    values = {name: value for name, value in result.items() if isinstance(value, int | float | str)}
    numbers = [name for name, value in values.items() if not isinstance(value, bool | str)]
    name = next(iter([*numbers, *values]), None)
    return None if name is None else Headline(_shorten(words(name)), _shorten(plain(values[name])))


def _shorten(text: str) -> str:
    shown = one_line(" ".join(text.split()))
    return shown if len(shown) <= MAX_SHOWN else f"{shown[: MAX_SHOWN - 1]}…"
