"""The report as one HTML file: it agrees with the result and is safe to open."""

import json
import re

import jinja2
import pytest

from tests.quant.backtesting.conftest import NewJob
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.backtesting.backtest_pipeline import run_backtest
from workers.backtesting.tear_sheet import format_figure, render
from workers.verdicts.backtest import verdict


@pytest.fixture
def rendered(new_job: NewJob) -> tuple[dict, dict, str]:
    job = new_job()
    result = run_backtest(BacktestParameters(symbol="AAA", start_date="2017-07-03"), job)
    return result, json.loads(job.artifacts["report.json"]), job.artifacts["report.html"].decode()


def test_it_shows_the_metrics_of_the_result(rendered: tuple[dict, dict, str]) -> None:
    result, report, html = rendered
    for metrics in (result["metrics"], result["benchmark"]):
        assert f"<td>{format_figure(metrics['total_return'], 'percent')}</td>" in html
        assert f"<td>{format_figure(metrics['final_equity'], 'money')}</td>" in html
    for warning in result["warnings"]:
        assert warning["message"] in html
    assert html.count("<tr><td>2017-") + html.count("<tr><td>2018-") >= len(report["trades"])
    assert result["provenance"]["model_sha256"] in html


def test_it_has_the_order_of_the_page(rendered: tuple[dict, dict, str]) -> None:
    """Picture, verdict, headline figures, then the rest."""
    result, _, html = rendered
    found = verdict(result)
    assert found is not None
    assert f"{found.title}.</strong>" in html
    order = [
        "<svg", found.title, result["warnings"][0]["message"], '<dl class="tiles">', "<h2>Monthly returns</h2>", "<h2>Trades</h2>",
        "<h2>Provenance</h2>",
    ]  # fmt: skip
    places = [html.index(part) for part in order]
    assert places == sorted(places)


def test_it_needs_no_other_file(rendered: tuple[dict, dict, str]) -> None:
    html = rendered[2]
    assert not re.search(r"https?://|<script|<link|src=|url\(|@import", html)
    assert "default-src 'none'" in html
    assert len(html) < 500_000


def test_names_are_escaped(rendered: tuple[dict, dict, str]) -> None:
    result, report, _ = rendered
    result["settings"]["symbol"] = "<img src=x onerror=alert(1)>"
    result["warnings"] = [{"code": "x", "message": "</li><script>alert(1)</script>"}]
    html = render(result, report)
    assert "<img" not in html
    assert "<script" not in html


def test_no_curve_leaves_its_frame(rendered: tuple[dict, dict, str]) -> None:
    for path in re.findall(r' d="M([^"]+)"', rendered[2]):
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
    assert format_figure(value, kind) == text


def test_a_process_compiles_the_template_once(
    rendered: tuple[dict, dict, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fork server has compiled it, so that no job does."""
    result, report, html = rendered
    monkeypatch.setattr(jinja2.Environment, "compile", None)
    assert render(result, report) == html
