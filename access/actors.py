"""Who did it: every event and every entry of the audit trail names one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from access.client_address import client_address

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.http import HttpRequest


@dataclass(frozen=True, slots=True)
class Actor:
    label: str
    user_id: int | None = None
    address: str | None = None
    """Where a person's request came from."""

    @classmethod
    def person(cls, username: str, user_id: int | None, address: str | None = None) -> "Actor":
        return cls(f"user:{username}"[:200], user_id, address)

    @classmethod
    def asking(cls, request: "HttpRequest", user: "User") -> "Actor":
        return cls.person(user.get_username(), user.pk, client_address(request))

    @classmethod
    def worker(cls, worker_id: str) -> "Actor":
        return cls(f"worker:{worker_id}")
