"""Runs as a table: pages that move meanwhile, settings that differ, and files that can be read again."""

import math
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ktrdr_client import Client, frames
from pandas.testing import assert_frame_equal

from tests.client.command_line import run
from tests.client.documented_site import RANKED_RUN, DocumentedSite

SETTINGS = st.dictionaries(
    st.sampled_from(["seed", "title", "sharpe", "strategy.name", "symbols"]),
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=4)
    | st.lists(st.integers(0, 3) | st.text("ab", max_size=2), max_size=2),
)


def rows_with(*settings: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {**RANKED_RUN, "operation_id": f"op{index}", "settings": values}
        for index, values in enumerate(settings)
    ]


def test_only_the_settings_that_differ_are_columns() -> None:
    rows = rows_with({"seed": 1, "same": 1}, {"seed": 2, "same": 1}, {"same": 1})
    frame = frames.runs(rows)
    assert frame["seed"].tolist()[:2] == [1, 2]
    assert math.isnan(frame["seed"].iloc[2])
    assert "same" not in frame
    assert frames.runs(rows, all_settings=True)["same"].tolist() == [1, 1, 1]
    assert frame["dsr"].isna().all()
    assert str(frame["created_at"].dt.tz) == "UTC"


@given(st.lists(SETTINGS, max_size=4))
def test_any_settings_can_be_written_as_parquet_and_read_again(settings: list[dict[str, Any]]) -> None:
    frame = frames.runs(rows_with(*settings), all_settings=True)
    again = frames.parquet(frame.reset_index().to_parquet())
    assert list(again) == ["operation_id", *frame]
    assert len(set(again)) == len(list(again))
    assert_frame_equal(
        again.set_index("operation_id"),
        frame,
        check_dtype=False,
        check_column_type=False,
        check_index_type=False,
    )


@pytest.mark.parametrize("limit", [None, 2_500, 1_000, 1])
def test_a_run_that_moves_to_the_next_page_is_one_row(limit: int | None) -> None:
    asked: list[tuple[int, int]] = []

    def site(request: httpx.Request) -> httpx.Response:
        offset, size = (int(request.url.params[name]) for name in ("offset", "limit"))
        moved = len(asked)  # each page comes after one more submission
        asked.append((offset, size))
        numbers = range(offset - moved, min(offset - moved + size, 2_600))
        rows = [{**RANKED_RUN, "operation_id": f"op{number}"} for number in numbers]
        return httpx.Response(
            200, json={"results": rows, "next_offset": offset + size if len(rows) == size else None}
        )

    rows = Client("http://site", transport=httpx.MockTransport(site)).runs.rows(limit=limit)
    names = [row["operation_id"] for row in rows]
    assert len(names) == len(set(names))
    assert sum(size for _, size in asked) == (limit or 3_000)
    if limit is None:
        assert names == [f"op{number}" for number in range(2_600)]


def test_the_command_shows_the_metrics_that_runs_have(
    site: DocumentedSite, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(site, "runs", "trades > 10", "--order", "trades") == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["ID", "TYPE", "TRADES", "TOTAL_RETURN", "SHARPE", "NAME"]
    assert row.split()[:5] == ["op1", "backtesting", "30", "0.5", "1.25"]
    assert row.endswith("cross, AAPL")


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_the_command_writes_all_settings_to_a_file(site: DocumentedSite, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"runs.{ending}"
    assert run(site, "runs", "-o", str(file)) == 0
    table = pd.read_parquet(file) if ending == "parquet" else pd.read_csv(file, index_col=0)
    assert table.loc["op1", ["commission", "symbols", "parameters.title"]].tolist() == [
        0.001,
        '["AAPL"]',
        "a parameter",
    ]


def test_another_ending_is_refused_before_anything_is_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def site(request: httpx.Request) -> httpx.Response:
        raise AssertionError("asked")

    assert run(site, "runs", "-o", str(tmp_path / "runs.xlsx")) == 1
    assert "must end in .parquet or .csv" in capsys.readouterr().err
