"""Compare the pinned packages with a copy of OSV's advisories about PyPI: `make audit ADVISORIES=all.zip`.

The copy is the archive that osv.dev publishes for the ecosystem PyPI: one JSON file per advisory (OSV schema 1.x). No
network is needed. The exit status is 1 if a pinned version is affected, 2 if the copy cannot be used.
"""

import json
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from worker_agent.visible_text import protect_streams

PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", re.MULTILINE)
MAX_ADVISORY_BYTES = 16 * 1024**2
OLD_AFTER = timedelta(days=30)


class UnusableCopy(Exception):
    """The message is one sentence for people."""


@dataclass(frozen=True, slots=True)
class Finding:
    package: str
    version: str
    advisory: str
    summary: str
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        fixed = ", ".join(self.fixed_in) or "no version"
        return f"{self.package} {self.version}: {self.advisory}, fixed in {fixed}. {self.summary}".strip()


def pins_of(files: Sequence[Path]) -> dict[str, Version]:
    return {
        canonicalize_name(name): Version(version)
        for file in files
        for name, version in PIN.findall(file.read_text())
    }


def read_advisories(archive: Path) -> Iterator[dict[str, Any]]:
    """Yield the advisories that have not been withdrawn. Raises UnusableCopy."""
    try:
        with zipfile.ZipFile(archive) as files:
            for entry in files.infolist():
                if not entry.filename.endswith(".json"):
                    continue
                if entry.file_size > MAX_ADVISORY_BYTES:
                    raise UnusableCopy(
                        f"{archive}: {entry.filename} is larger than {MAX_ADVISORY_BYTES} bytes"
                    )
                advisory = json.loads(files.read(entry))
                if "withdrawn" not in advisory:
                    yield advisory
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UnusableCopy(f"{archive} is not an archive of OSV advisories: {error}") from error


def findings_in(advisory: Mapping[str, Any], pins: Mapping[str, Version]) -> Iterator[Finding]:
    for affected in advisory.get("affected", ()):
        package = affected.get("package", {})
        name = canonicalize_name(str(package.get("name", "")))
        version = pins.get(name)
        if package.get("ecosystem") != "PyPI" or version is None or not is_affected(affected, version):
            continue
        events = [event for of_range in affected.get("ranges", ()) for event in of_range.get("events", ())]
        fixed = tuple(event["fixed"] for event in events if "fixed" in event)
        yield Finding(name, str(version), advisory["id"], advisory.get("summary", ""), fixed)


def is_affected(affected: Mapping[str, Any], version: Version) -> bool:
    """Evaluate the listed versions and the ranges of the type ECOSYSTEM as the OSV schema describes."""
    if any(_parsed(text) == version for text in affected.get("versions", ())):
        return True
    return any(
        _is_in_range(of_range.get("events", ()), version)
        for of_range in affected.get("ranges", ())
        if of_range.get("type") == "ECOSYSTEM"
    )


def _is_in_range(events: Sequence[Mapping[str, str]], version: Version) -> bool:
    inside = False
    for at, kind in sorted(_bounds(events)):
        if kind == "introduced" and version >= at:
            inside = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            inside = False
    return inside


def _bounds(events: Sequence[Mapping[str, str]]) -> Iterator[tuple[Version, str]]:
    for event in events:
        for kind, text in event.items():
            if (at := _parsed(text)) is not None:
                yield at, kind


def _parsed(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None  # published before PEP 440; no pinned version compares equal to it


def audit(archive: Path, files: Sequence[Path]) -> list[Finding]:
    """Print the size and the age of the copy, and return its findings about the pins. Raises UnusableCopy."""
    pins = pins_of(files)
    number, newest = 0, ""
    findings: list[Finding] = []
    for advisory in read_advisories(archive):
        number += 1
        newest = max(newest, str(advisory.get("modified", "")))
        findings += findings_in(advisory, pins)
    if number == 0:
        raise UnusableCopy(f"{archive} contains no advisories")
    print(f"{len(pins)} packages, {number} advisories, the newest of {newest[:10]}")
    if newest[:10] < (datetime.now(UTC) - OLD_AFTER).strftime("%Y-%m-%d"):
        print(f"The copy is older than {OLD_AFTER.days} days; newer advisories are not in it.")
    return findings


def main(arguments: Sequence[str]) -> int:
    protect_streams()
    archive, *files = map(Path, arguments)
    try:
        findings = audit(archive, files)
    except UnusableCopy as error:
        print(error, file=sys.stderr)
        return 2
    for finding in findings:
        print(finding)
    print(f"{len(findings)} known vulnerabilities")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
