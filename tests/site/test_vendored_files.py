"""Vendored files are those whose checksums are recorded."""

import hashlib
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[2] / "static" / "vendor"


def test_every_vendored_file_has_its_recorded_checksum() -> None:
    lines = (VENDOR / "SHA256SUMS").read_text().splitlines()
    recorded = {name: checksum for checksum, _, name in (line.partition("  ") for line in lines)}
    files = {str(path.relative_to(VENDOR)): path for path in VENDOR.glob("*/**/*") if path.is_file()}
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()} == recorded
