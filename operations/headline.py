"""The summary of a result."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Headline:
    """The one value that summarizes an operation in a list."""

    name: str
    text: str
    css_class: str = ""
