import csv
import subprocess
import sys
from pathlib import Path

import pytest

from ktrdr_site.demo import sample_data

ROOT = Path(__file__).resolve().parents[2]


def test_each_symbol_becomes_a_file_as_yahoo_writes_it(tmp_path: Path) -> None:
    files = sample_data.write_sample_files(tmp_path)
    assert list(files) == ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
    with files["GOOG"].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["Date", "Open", "High", "Low", "Close", "Adj Close", "Volume"]
    assert (rows[0]["Date"], rows[0]["Close"], rows[0]["Volume"]) == ("2004-08-19", "100.335", "44659000")
    assert len(rows) == 2148
    dates = [row["Date"] for row in rows]
    assert dates == sorted(set(dates))


def test_finding_the_sample_data_does_not_import_its_package(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from ktrdr_site.demo.sample_data import write_sample_files;"
        f"write_sample_files(Path({str(tmp_path)!r}));"
        "sys.exit('bokeh_sampledata' in sys.modules or 'pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_missing_sample_data_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_data, "PACKAGE", "no_such_package_at_all")
    with pytest.raises(sample_data.NoSampleDataError, match="the package no_such_package_at_all"):
        sample_data.write_sample_files(tmp_path)
