"""The worker token on disk: with it a restarted agent proves that it may replace its predecessor."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

MAX_BYTES = 1000


@dataclass(slots=True)
class KeptToken:
    path: Path
    value: str = ""
    """Empty if this agent has never registered, or its directory is new."""

    def load(self) -> None:
        try:
            with self.path.open("rb") as file:
                self.value = file.read(MAX_BYTES).decode("ascii", "replace").strip()
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("could not read the token of the last registration: %s", error)

    def keep(self, token: str) -> None:
        """Store the token for the owner only. Without it a restart waits until the backend misses this process."""
        if token == self.value:
            return
        self.value = token
        incoming = self.path.with_name(f".{self.path.name}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            incoming.unlink(missing_ok=True)
            descriptor = os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(token)
            incoming.replace(self.path)
        except OSError as error:
            log.warning("could not store the worker token: %s", error)
