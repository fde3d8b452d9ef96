"""Who did it: every event names one."""

from dataclasses import dataclass


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
    def worker(cls, worker_id: str) -> "Actor":
        return cls(f"worker:{worker_id}")


DISPATCHER = Actor("dispatcher")
SWEEP = Actor("sweep")
REGISTRATION = Actor("registration")
SYSTEM = Actor("system")
"""What follows by rule from something else, such as the end of an operation that this one waits for."""
