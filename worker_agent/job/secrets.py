"""The secrets that a job was given."""

from collections.abc import Iterator, Mapping

from worker_agent.protocol import InvalidInput


class MissingSecret(InvalidInput, KeyError):
    """The worker does not name this secret."""


class Secrets(Mapping[str, str]):
    """Name -> value. Its representation has the names only."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> str:
        if name not in self._values:
            named = ", ".join(self._values) or "none"
            raise MissingSecret(
                f"The job has no secret {name}. Its worker must name it in `secrets`; it names {named}."
            )
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self._values)})"
