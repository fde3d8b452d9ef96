# Generated from ../aio/strategies.py by tools/blocking_client.py: change that file, not this one.
"""Saved strategies and their versions."""

from collections.abc import Sequence

from ktrdr_client.sync.session import Session, Json, part


class Strategies:
    def __init__(self, session: Session) -> None:
        self._session = session

    def list(self) -> list[Json]:
        """Return the saved strategies that are not archived; `digest` is that of the newest version's text."""
        return [row for row in self._session.pages("/strategies")]

    def text(self, name: str, version: int) -> str:
        """Return the file of one version."""
        saved = self._session.get(f"/strategies/{part(name)}/versions/{version}")
        return str(saved["strategy_yaml"])

    def save(
        self, name: str, text: str, *, title: str = "", note: str = "", tags: Sequence[str] = ()
    ) -> Json:
        """Save a new strategy as version 1. Raises ProblemError, also if the name is taken."""
        body = {"name": name, "strategy_yaml": text, "title": title, "note": note, "tags": [*tags]}
        return self._session.act("POST", "/strategies", body)

    def add_version(self, name: str, text: str, change: str = "") -> Json:
        """Save a new version of a strategy; the earlier ones stay."""
        body = {"strategy_yaml": text, "change": change}
        return self._session.act("POST", f"/strategies/{part(name)}/versions", body)
