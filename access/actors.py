"""The actor that every event and every audit entry names."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from access.client_address import client_address

if TYPE_CHECKING:
    from django.http import HttpRequest


@dataclass(frozen=True, slots=True)
class Actor:
    label: str
    user_id: int | None = None
    address: str | None = None
    """The address of a person's request."""

    @classmethod
    def person(cls, username: str, user_id: int | None, address: str | None = None) -> "Actor":
        return cls(f"user:{username}"[:200], user_id, address)

    @classmethod
    def from_request(cls, request: "HttpRequest") -> "Actor":
        """Return the signed-in person who sent the request."""
        user = request.user
        assert user.is_authenticated, "the view's permissions admit only people"
        return cls.person(user.get_username(), user.pk, client_address(request))

    @classmethod
    def worker(cls, worker_id: str) -> "Actor":
        return cls(f"worker:{worker_id}")
