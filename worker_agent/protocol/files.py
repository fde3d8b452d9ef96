"""Files and checkpoints of operations."""

from pydantic import Field

from worker_agent.protocol.message import Attempt, Identifier, Message, Name, Secret, Sha256
from worker_agent.values import Count


class ArtifactRef(Message):
    """A file, identified by its content. `name` is its name within the operation."""

    name: Name
    sha256: Sha256
    size: Count


class CheckpointRef(Message):
    """The newest saved state of an operation, from which a later attempt may resume."""

    attempt: Attempt
    step: Count
    files: tuple[ArtifactRef, ...]


class CheckpointReport(Message):
    """`POST /operations/{id}/checkpoints`, after the files were uploaded."""

    attempt: Attempt
    attempt_secret: Secret = ""
    instance_id: Identifier
    step: Count
    files: tuple[ArtifactRef, ...] = Field(min_length=1, max_length=100)
