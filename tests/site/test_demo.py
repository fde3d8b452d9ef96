"""What the demo tells, and what it says when something goes wrong."""

import json
from collections.abc import Callable

import httpx
import pytest

from ktrdr_site.demo import Demo, DemoError, progress_in_words
from ktrdr_site.demo_report import report, shown, verdict

METRICS = {"total_return": -0.031, "cagr": -0.01, "volatility": 0.2, "sharpe": None, "max_drawdown": -0.25,
           "exposure": 0.5, "trades": 12, "win_rate": 0.4, "fees": 123.456, "final_equity": 96_900.0}  # fmt: skip


def test_a_losing_strategy_is_reported_as_losing() -> None:
    benchmark = {**METRICS, "total_return": 0.25}
    lines = report({"metrics": METRICS, "benchmark": benchmark, "warnings": ["Under 30 trades."]})
    assert lines[-2] == (
        "After costs the strategy lost money: -3.1 %, less than buying and holding would have made (+25.0 %)."
    )
    assert lines[-1] == "note: Under 30 trades."
    assert next(line for line in lines if line.startswith("Sharpe")).split() == ["Sharpe", "ratio", "-", "-"]


def test_the_verdict_compares_with_buy_and_hold() -> None:
    assert "made money: +5.0 %, more than buying and holding did (+2.0 %)" in verdict(0.05, 0.02)
    assert "made money: +5.0 %, less than" in verdict(0.05, 0.2)
    assert "lost money: -5.0 %, more than buying and holding did (-20.0 %)" in verdict(-0.05, -0.2)


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [(None, "percent", "-"), (0.1234, "percent", "12.3 %"), (3, "count", "3"), (1234.5, "money", "1,234.50")],
)
def test_a_figure_is_shown_in_its_unit(value: float | None, form: str, text: str) -> None:
    assert shown(value, form) == text


def test_progress_is_told_in_steps_of_ten_and_waiting_with_its_reason() -> None:
    assert progress_in_words({"status": "RUNNING", "progress": {"percentage": 47.9}}) == " 40 %"
    assert progress_in_words({"status": "RUNNING", "progress": {"percentage": 3}}) == ""
    waiting = {"status": "PENDING", "waiting_reason": "no worker of type training is registered"}
    assert progress_in_words(waiting) == "no worker of type training is registered"


def backend(answers: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    return httpx.Client(base_url="http://ktrdr.test", transport=httpx.MockTransport(answers))


def test_a_failed_import_ends_the_demo_with_its_reason() -> None:
    def answers(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(202, json={"operation_id": "abc"})
        if request.url.path == "/market-data":
            return httpx.Response(200, json={"results": []})
        failed = {"status": "FAILED", "error": {"message": "row 7: high below low"}}
        return httpx.Response(200, json=failed)

    with (
        backend(answers) as http,
        pytest.raises(DemoError, match="import of AAPL ended FAILED: row 7: high below low"),
    ):
        Demo(http, lambda line: None, "strategy").run()


def test_what_was_imported_before_is_not_imported_again() -> None:
    sent = []

    def answers(request: httpx.Request) -> httpx.Response:
        sent.append((request.method, request.url.path, request.content))
        if request.url.path == "/market-data":
            rows = [{"symbol": symbol, "timeframe": "1d"} for symbol in ("AAPL", "FB", "GOOG", "IBM", "MSFT")]
            return httpx.Response(200, json={"results": rows})
        return httpx.Response(422, json={"detail": "unknown indicator"})

    with (
        backend(answers) as http,
        pytest.raises(DemoError, match=r"/training/start: 422 .*unknown indicator"),
    ):
        Demo(http, lambda line: None, "the strategy").run()
    method, path, content = sent[-1]
    assert (method, path) == ("POST", "/training/start")
    assert json.loads(content)["strategy_yaml"] == "the strategy"
    assert [path for method, path, _ in sent if method == "POST"] == ["/training/start"]
