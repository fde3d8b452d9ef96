"""Request models of saved strategies, validated at the edge and trusted afterwards."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from operations.labels import Note, TagNames, Title
from operations.requests import StrategyText
from strategies.names import StrategyName


def _unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n")


FileText = Annotated[StrategyText, AfterValidator(_unix_lines)]
"""A strategy file with the line ends of Unix, so that a text has one digest however it is sent."""


class NewStrategy(BaseModel):
    """A strategy to save."""

    model_config = ConfigDict(extra="forbid")

    strategy_yaml: FileText
    name: StrategyName | None = None
    """None: the name in the file, with a number if it is taken."""
    title: Title = ""
    note: Note = ""
    tags: TagNames = Field(default_factory=list)
    change: Title = ""
    """A few words for the list of versions."""


class NewVersion(BaseModel):
    """A new text of a saved strategy."""

    model_config = ConfigDict(extra="forbid")

    strategy_yaml: FileText
    change: Title = ""
    """A few words for the list of versions."""
    based_on: int | None = Field(default=None, ge=1, le=2**31 - 1)
    """The version that it was written from; 409 if a newer one was saved since. None: no such check."""


class StrategyChange(BaseModel):
    """New name and labels; those that are not given stay as they are."""

    model_config = ConfigDict(extra="forbid")

    name: StrategyName | None = None
    title: Title | None = None
    note: Note | None = None
    tags: TagNames | None = None
    """All of them; the others are removed."""
    archived: bool | None = None
