"""The names of saved strategies, which are part of addresses."""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field

MAX_NAME = 64
RESERVED = frozenset({"catalog", "check", "examples", "form", "import", "new", "preview", "text", "validate"})
"""Addresses of their own."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_DIGEST = re.compile(r"[0-9a-f]{32}")


def is_digest(text: str) -> bool:
    """Return whether the text is a digest of a strategy, so that an address can hold either a name or a digest."""
    return _DIGEST.fullmatch(text) is not None


def normalize_name(text: str) -> str:
    """Return the name in lower case, with underscores for spaces. Raises ValueError."""
    name = re.sub(r"\s+", "_", unicodedata.normalize("NFKC", text).strip()).lower()
    if len(name) > MAX_NAME or not _NAME.fullmatch(name) or is_digest(name):
        raise ValueError(
            f"a name has at most {MAX_NAME} letters a to z, digits, hyphens, dots and underscores, unlike {text[:80]!r}"
        )
    if name in RESERVED:
        raise ValueError(f"{name} is an address of the site; choose another name")
    return name


def name_from(text: str) -> str:
    """Return a valid name that resembles the text, such as the name in a strategy file."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9_.-]+", "_", plain).strip("_.-")[: MAX_NAME - 4] or "strategy"
    return f"{name}_1" if name in RESERVED or is_digest(name) else name


StrategyName = Annotated[str, Field(max_length=200), AfterValidator(normalize_name)]
