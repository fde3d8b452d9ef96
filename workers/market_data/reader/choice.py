"""A decision about a file: its value, the reason, and the next best value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision between several readings of a file."""

    value: str
    reason: str
    runner_up: str = ""

    def as_json(self) -> dict[str, str]:
        return {"value": self.value, "reason": self.reason, "runner_up": self.runner_up}
