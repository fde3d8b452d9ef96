"""Keeps libraries from loading packages that they use where they are installed, and this product does not."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

NOT_USED = ("click", "jinja2", "requests")
"""Django, its REST framework and httpx load them, for a tenth of the time of a start. The pins of the site lack them."""


def leave_out() -> None:
    """Let no import in this process find a package that is not used."""
    _hide(NOT_USED)


@contextmanager
def absent(*names: str) -> Iterator[None]:
    """Let the imports in the block not find these packages, unless they are loaded already."""
    hidden = [name for name in names if name not in sys.modules]
    _hide(hidden)
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _hide(names: Iterable[str]) -> None:
    """Enter None for the names, which makes their imports fail (Python Language Reference, 5.3.1)."""
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]  # the stubs allow only modules
