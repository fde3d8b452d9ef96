"""Uploads: files for use as inputs of operations."""

from pathlib import Path

from ktrdr_client.aio.session import AsyncSession, Json, part
from ktrdr_client.files import open_file


class AsyncUpload:
    """One uploaded file; its id is the value of a parameter that takes a file."""

    def __init__(self, session: AsyncSession, data: Json) -> None:
        self._session = session
        self.data = data

    def __repr__(self) -> str:
        return f"<upload {self.id} {self.name}>"

    @property
    def id(self) -> str:
        return str(self.data["upload_id"])

    @property
    def name(self) -> str:
        return str(self.data["name"])

    async def delete(self) -> None:
        """Delete the upload; operations submitted with it keep its content."""
        await self._session.act("DELETE", f"/uploads/{part(self.id)}")


class AsyncUploads:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def send(self, source: str | Path | bytes, name: str | None = None) -> AsyncUpload:
        """Store a file, or bytes under a name. The same content under the same name is the same upload again.

        Raises OSError, ProblemError, and ValueError for bytes without a name.
        """
        with open_file(source, name) as file:
            # A repetition stores nothing twice.
            response = await self._session.request("POST", "/uploads", retry=True, files={"file": file})
        return AsyncUpload(self._session, response.json())

    async def get(self, upload_id: str) -> AsyncUpload:
        return AsyncUpload(self._session, await self._session.get(f"/uploads/{part(upload_id)}"))

    async def find(self, limit: int | None = 50) -> list[AsyncUpload]:
        """Return the uploads of all users that have not expired, newest first."""
        rows = self._session.pages("/uploads", limit=limit)
        return [AsyncUpload(self._session, row) async for row in rows]
