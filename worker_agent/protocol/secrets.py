"""The request of an attempt for stored secrets."""

from typing import Annotated

from pydantic import Field, StringConstraints

from worker_agent.protocol.message import Attempt, Identifier, Message, Secret

SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,99}$")]
MAX_SECRETS = 50


class SecretsRequest(Message):
    """`POST /operations/{id}/secrets`: the stored secrets that the job of an attempt needs."""

    attempt: Attempt
    attempt_secret: Secret = ""
    instance_id: Identifier
    names: tuple[SecretName, ...] = Field(min_length=1, max_length=MAX_SECRETS)


class SecretsAnswer(Message):
    secrets: dict[SecretName, str] = Field(repr=False)
    """Name -> value, of each requested name."""
