# Generated from ../aio/uploads.py by tools/blocking_client.py: change that file, not this one.
"""Uploads: files for use as inputs of operations."""

from pathlib import Path

from ktrdr_client.sync.session import Session, Json, part
from ktrdr_client.files import open_file


class Upload:
    """One uploaded file; its id is the value of a parameter that takes a file."""

    def __init__(self, session: Session, data: Json) -> None:
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

    def delete(self) -> None:
        """Delete the upload; operations submitted with it keep its content."""
        self._session.act("DELETE", f"/uploads/{part(self.id)}")


class Uploads:
    def __init__(self, session: Session) -> None:
        self._session = session

    def send(self, source: str | Path | bytes, name: str | None = None) -> Upload:
        """Store a file, or bytes under a name. The same content under the same name is the same upload again.

        Raises OSError, ProblemError, and ValueError for bytes without a name.
        """
        with open_file(source, name) as file:
            # A repetition stores nothing twice.
            response = self._session.request("POST", "/uploads", retry=True, files={"file": file})
        return Upload(self._session, response.json())

    def get(self, upload_id: str) -> Upload:
        return Upload(self._session, self._session.get(f"/uploads/{part(upload_id)}"))

    def find(self, limit: int | None = 50) -> list[Upload]:
        """Return the uploads of all users that have not expired, newest first."""
        rows = self._session.pages("/uploads", limit=limit)
        return [Upload(self._session, row) for row in rows]
