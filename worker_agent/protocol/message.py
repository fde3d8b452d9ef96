"""The base class of all messages, and the types of their fields."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from worker_agent.values import MAX_INTEGER

MAX_TEXT = 8_000
"""Maximum length of an error message or log line. The sender cuts longer texts."""

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9^][A-Za-z0-9^=_.-]*(/[A-Za-z0-9^][A-Za-z0-9^=_.-]*)*$", max_length=200
    ),
]
Attempt = Annotated[int, Field(ge=1, le=2**31 - 1)]
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]
Sequence = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
Path = Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9_-]+)+$", max_length=200)]
Secret = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$", max_length=100, repr=False)]
"""Base64 for URLs; empty if the sender has none."""


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)
