# Generated from ../aio/secrets.py by tools/blocking_client.py: change that file, not this one.
"""Secrets of jobs. Staff only; values are written and never read."""

from collections.abc import Sequence

from ktrdr_client.sync.session import Session, Json, part
from ktrdr_client.bodies import given


class Secrets:
    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self) -> list[Json]:
        """Return the secrets by name, without their values: `worker_types`, `changed_at`, `last_read_at` and others."""
        return [row for row in self._session.pages("/secrets")]

    def set(
        self, name: str, value: str | None = None, worker_types: Sequence[str] | None = None
    ) -> Json:
        """Create or change a secret; None keeps what is stored. No error shows the value.

        Jobs of `worker_types` may read it. Raises ProblemError, and ValueError if the value is not valid Unicode.
        """
        if value is not None and _has_surrogates(value):
            raise ValueError(f"The value of {name} is not valid Unicode.")
        body = given(value=value, worker_types=None if worker_types is None else [*worker_types])
        return self._session.act("PUT", f"/secrets/{part(name)}", body, hidden=value or "")

    def delete(self, name: str) -> None:
        """Delete a secret. Operations whose jobs need it fail from then on."""
        self._session.act("DELETE", f"/secrets/{part(name)}")


def _has_surrogates(text: str) -> bool:
    """Return whether the text cannot be encoded. The exception of an attempt would contain it."""
    return any("\ud800" <= character <= "\udfff" for character in text)
