"""`export_market_data` writes exactly the stored bytes, or nothing."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from operations import artifacts
from operations.models import MarketData
from operations.stores.local_disk import path_of
from tests.factories import OperationFactory

pytestmark = pytest.mark.django_db
CONTENTS = {("AAPL", "1d"): b"daily", ("AAPL", "1h"): b"hourly", ("^GSPC", "1d"): b"index"}


@pytest.fixture
def stored() -> dict[tuple[str, str], str]:
    """Symbol and timeframe -> SHA-256."""
    imported_by, hashes = OperationFactory(operation_type="data_import"), {}
    for (symbol, timeframe), content in CONTENTS.items():
        file = artifacts.put([content])
        MarketData.objects.create(
            symbol=symbol, timeframe=timeframe, file=file, rows=1000, quality={}, imported_by=imported_by,
            start="2026-01-01T00:00Z", end="2026-02-01T00:00Z",
        )  # fmt: skip
        hashes[symbol, timeframe] = file.sha256
    return hashes


def export(*words: str) -> str:
    out = StringIO()
    call_command("export_market_data", *words, stdout=out)
    return out.getvalue()


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_all_bars_are_written_and_a_second_export_replaces_them(
    stored: dict[tuple[str, str], str], tmp_path: Path
) -> None:
    directory = tmp_path / "new" / "folder"
    assert f"{directory}/AAPL_1d.parquet: 1,000 bars\n" in export(str(directory))
    everything = {"AAPL_1d.parquet": b"daily", "AAPL_1h.parquet": b"hourly", "^GSPC_1d.parquet": b"index"}
    assert contents(directory) == everything
    (directory / "AAPL_1d.parquet").write_bytes(b"older")
    export(str(directory))
    assert contents(directory) == everything


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--symbol", "AAPL"], {("AAPL", "1d"), ("AAPL", "1h")}),
        (["--timeframe", "1d"], {("AAPL", "1d"), ("^GSPC", "1d")}),
        (["--symbol", "AAPL", "--symbol", "^GSPC", "--timeframe", "1h"], {("AAPL", "1h")}),
    ],
)
def test_a_selection_is_written(
    stored: dict[tuple[str, str], str], tmp_path: Path, words: list[str], expected: set[tuple[str, str]]
) -> None:
    listed = json.loads(export(str(tmp_path), *words, "--json"))
    assert {entry["sha256"] for entry in listed} == {stored[key] for key in expected}
    assert set(contents(tmp_path)) == {f"{symbol}_{timeframe}.parquet" for symbol, timeframe in expected}


@pytest.mark.parametrize("damage", ["missing", "changed", "truncated"])
def test_a_damaged_file_is_not_written_and_the_others_are(
    stored: dict[tuple[str, str], str], tmp_path: Path, damage: str
) -> None:
    path = path_of(stored["AAPL", "1h"])
    path.unlink()
    if damage != "missing":
        path.write_bytes(b"hourly"[:3] if damage == "truncated" else b"HOURLY")
    with pytest.raises(CommandError, match=r"Not exported: AAPL 1h: the stored file is (missing|damaged)"):
        export(str(tmp_path))
    assert set(contents(tmp_path)) == {"AAPL_1d.parquet", "^GSPC_1d.parquet"}


def test_it_states_what_cannot_be_done(stored: dict[tuple[str, str], str], tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No market data match"):
        export(str(tmp_path), "--symbol", "NOBODY")
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match="Could not write to"):
        export(str(tmp_path / "file"))
