"""The report that people send each other: one file, true to the result, safe to open."""

import json
import re

import pytest

from tests.quant.backtesting.conftest import NewJob
from workers.backtesting.parameters import BacktestParameters
from workers.backtesting.run import run_backtest
from workers.backtesting.tear_sheet import render, shown


@pytest.fixture
def made(new_job: NewJob) -> tuple[dict, dict, str]:
    job = new_job()
    answer = run_backtest(BacktestParameters(symbol="AAA", start_date="2017-07-03"), job)
    return answer, json.loads(job.artifacts["report.json"]), job.artifacts["report.html"].decode()


def test_it_shows_the_figures_of_the_result(made: tuple[dict, dict, str]) -> None:
    answer, drawn, html = made
    for figures in (answer["metrics"], answer["benchmark"]):
        assert f"<td>{shown(figures['total_return'], 'percent')}</td>" in html
        assert f"<td>{shown(figures['final_equity'], 'money')}</td>" in html
    for warning in answer["warnings"]:
        assert warning["message"] in html
    assert html.count("<tr><td>2017-") + html.count("<tr><td>2018-") >= len(drawn["trades"])
    assert answer["provenance"]["model_sha256"] in html


def test_it_needs_nothing_from_anywhere(made: tuple[dict, dict, str]) -> None:
    html = made[2]
    assert not re.search(r"https?://|<script|<link|src=|url\(|@import", html)
    assert "default-src 'none'" in html
    assert len(html) < 500_000


def test_names_are_text_never_markup(made: tuple[dict, dict, str]) -> None:
    answer, drawn, _ = made
    answer["settings"]["symbol"] = "<img src=x onerror=alert(1)>"
    answer["warnings"] = [{"code": "x", "message": "</li><script>alert(1)</script>"}]
    html = render(answer, drawn)
    assert "<img" not in html
    assert "<script" not in html


def test_no_curve_leaves_its_frame(made: tuple[dict, dict, str]) -> None:

    for path in re.findall(r' d="M([^"]+)"', made[2]):
        for point in path.split("L"):
            x, y = map(float, point.split(","))
            assert 0 <= x <= 1000
            assert 0 <= y <= 260


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (0.1501, "percent", "15.0 %"),
        (-0.00011, "percent", "-0.011 %"),
        (0.0, "percent", "0.0 %"),
        (1.19532, "price", "1.19532"),
        (61234.5, "price", "61,234.5"),
        (None, "price", "–"),
    ],
)
def test_small_figures_keep_their_digits(value: float | None, kind: str, text: str) -> None:
    assert shown(value, kind) == text
