"""Saved strategies and their versions."""

from collections.abc import Sequence

from ktrdr_client.aio.session import AsyncSession, Json, part


class AsyncStrategies:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def list(self) -> list[Json]:
        """Return the saved strategies that are not archived; `digest` is that of the newest version's text."""
        return [row async for row in self._session.pages("/strategies")]

    async def text(self, name: str, version: int) -> str:
        """Return the file of one version."""
        saved = await self._session.get(f"/strategies/{part(name)}/versions/{version}")
        return str(saved["strategy_yaml"])

    async def save(
        self, name: str, text: str, *, title: str = "", note: str = "", tags: Sequence[str] = ()
    ) -> Json:
        """Save a new strategy as version 1. Raises ProblemError, also if the name is taken."""
        body = {"name": name, "strategy_yaml": text, "title": title, "note": note, "tags": [*tags]}
        return await self._session.act("POST", "/strategies", body)

    async def add_version(self, name: str, text: str, change: str = "") -> Json:
        """Save a new version of a strategy; the earlier ones stay."""
        body = {"strategy_yaml": text, "change": change}
        return await self._session.act("POST", f"/strategies/{part(name)}/versions", body)
