"""The manifest of an archive. It is the last member, so a truncated archive has none."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MANIFEST = "manifest.json"
TABLES, ARTIFACTS, SECRETS = "tables/", "artifacts/", "secrets/"
SECRET_FILES = {"secret-key": "KTRDR_SECRET_KEY", "worker-token": "KTRDR_WORKER_TOKEN"}
"""The variable that replaces each file if it is set."""
CHUNK = 1024 * 1024


class BackupError(Exception):
    """The message is one sentence for people."""


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Table(Part):
    columns: tuple[str, ...] = Field(min_length=1)
    rows: int = Field(ge=0)


class Member(Part):
    size: int = Field(ge=0)
    sha256: str


class Manifest(Part):
    format: Literal[1, 2] = 1
    """2 if artifacts are in the folder beside the archive."""
    created_at: datetime
    versions: dict[str, str]
    """python, django, postgresql, protocol"""
    migrations: tuple[tuple[str, str], ...]
    """(app, name) of the newest applied migration of each branch."""
    tables: dict[str, Table]
    members: dict[str, Member]
    """All other members of the archive, by name."""
    missing_artifacts: tuple[str, ...] = ()
    """SHA-256 of files that rows refer to but that were missing or damaged on disk at the time of the backup."""
    apart: dict[Annotated[str, Field(pattern="^[0-9a-f]{64}$")], int] = {}
    """Sizes, by SHA-256, of the artifacts that are in the folder `artifacts` beside the archive."""

    @property
    def artifacts(self) -> list[str]:
        return [*self.artifacts_inside, *self.apart]

    @property
    def artifacts_inside(self) -> list[str]:
        return [name.removeprefix(ARTIFACTS) for name in self.members if name.startswith(ARTIFACTS)]

    @property
    def secrets(self) -> list[str]:
        return [name.removeprefix(SECRETS) for name in self.members if name.startswith(SECRETS)]

    @property
    def is_empty(self) -> bool:
        return not self.tables["operations_operation"].rows and not self.artifacts

    def require_whole(self, *, allow_missing: bool, allow_empty: bool) -> None:
        """Raise BackupError if files are missing, or if there is nothing in it: probably the wrong site was saved."""
        if self.is_empty and not allow_empty:
            raise BackupError(
                "the backup contains no operations and no artifacts; check KTRDR_DATABASE_URL and KTRDR_DATA_DIR, "
                "or use --allow-empty"
            )
        if self.missing_artifacts and not allow_missing:
            raise BackupError(
                f"{len(self.missing_artifacts)} artifacts were missing or damaged when the backup was made; "
                "use --allow-missing to accept that"
            )

    def summary(self) -> dict[str, object]:
        sizes = [self.members[f"{ARTIFACTS}{sha256}"].size for sha256 in self.artifacts_inside]
        sizes += self.apart.values()
        return {
            "created_at": self.created_at.isoformat(),
            "rows": sum(table.rows for table in self.tables.values()),
            "operations": self.tables["operations_operation"].rows,
            "artifacts": len(sizes),
            "artifact_bytes": sum(sizes),
            "missing_artifacts": list(self.missing_artifacts),
            "secrets": self.secrets,
            "versions": self.versions,
        }
