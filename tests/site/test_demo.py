"""The demo: its result table, its progress and its errors."""

import json
from collections import Counter
from collections.abc import Callable
from io import StringIO

import httpx
import pytest

from ktrdr_site.demo import scenario
from ktrdr_site.demo.scenario import Demo, DemoError, Texts, progress_of
from ktrdr_site.demo.summary import format_figure, summarize, summarize_study, verdict
from ktrdr_site.stack.terminal import Terminal

METRICS = {"total_return": -0.031, "cagr": -0.01, "volatility": 0.2, "sharpe": None, "max_drawdown": -0.25,
           "exposure": 0.5, "trades": 12, "win_rate": 0.4, "fees": 123.456, "final_equity": 96_900.0}  # fmt: skip


def test_a_losing_strategy_is_reported_as_losing() -> None:
    benchmark = {**METRICS, "total_return": 0.25}
    lines = summarize({"metrics": METRICS, "benchmark": benchmark, "warnings": ["Under 30 trades."]})
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
    assert format_figure(value, form) == text


def test_progress_has_a_percentage_and_waiting_its_reason() -> None:
    running = {"status": "RUNNING", "progress": {"percentage": 47.9, "current_step": "epoch 4"}}
    assert progress_of(running) == (47.9, "epoch 4")
    assert progress_of({"status": "DISPATCHING"}) == (0.0, "")
    waiting = {"status": "PENDING", "waiting_reason": "no worker of type training is registered"}
    assert progress_of(waiting) == (None, "no worker of type training is registered")


def backend(answers: Callable[[httpx.Request], httpx.Response]) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url="http://ktrdr.test", transport=httpx.MockTransport(answers))


async def run(http: httpx.AsyncClient, strategy: str = "strategy") -> str:
    """Run the demo; return what it showed."""
    shown = StringIO()
    demo = Demo(http, Terminal(shown), Texts(strategy, "studied", "study"))
    try:
        await demo.run(await demo.start_imports())
    finally:
        await http.aclose()
    return shown.getvalue()


async def test_a_failed_import_ends_the_demo_with_its_reason_and_names_the_worker() -> None:
    def answers(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(202, json={"operation_id": "abc"})
        if request.url.path == "/market-data":
            return httpx.Response(200, json={"results": []})
        error = {"message": "row 7: high below low"}
        failed = {"status": "FAILED", "error": error, "worker_id": "backtesting-1"}
        return httpx.Response(200, json=failed)

    with pytest.raises(DemoError, match="import of AAPL ended FAILED: row 7: high below low") as failure:
        await run(backend(answers))
    assert failure.value.process == "backtesting-1"


@pytest.mark.parametrize("error", [httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError])
async def test_a_reading_whose_connection_breaks_is_repeated_once_and_a_submission_is_not(
    error: type[httpx.TransportError],
) -> None:
    sent: Counter[tuple[str, str]] = Counter()

    def answers(request: httpx.Request) -> httpx.Response:
        case = request.method, request.url.path
        sent[case] += 1
        if request.method == "POST" or sent[case] == 1:
            raise error("the connection broke")
        return httpx.Response(200, json={"results": []})

    with pytest.raises(error):
        await run(backend(answers))
    assert sent == {("GET", "/market-data"): 2, ("POST", "/market-data"): 1}


async def test_imported_symbols_are_not_imported_again() -> None:
    sent = []

    def answers(request: httpx.Request) -> httpx.Response:
        sent.append((request.method, request.url.path, request.content))
        if request.url.path == "/market-data":
            rows = [{"symbol": symbol, "timeframe": "1d"} for symbol in ("AAPL", "FB", "GOOG", "IBM", "MSFT")]
            return httpx.Response(200, json={"results": rows})
        return httpx.Response(422, json={"detail": "unknown indicator"})

    with pytest.raises(DemoError, match=r"/training/start: 422 .*unknown indicator") as failure:
        await run(backend(answers), "the strategy")
    assert failure.value.process == "web"
    method, path, content = sent[-1]
    assert (method, path) == ("POST", "/training/start")
    assert json.loads(content)["strategy_yaml"] == "the strategy"
    assert [path for method, path, _ in sent if method == "POST"] == ["/training/start"]


async def test_each_step_is_shown_with_its_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenario, "POLL_S", 0)
    seen: Counter[str] = Counter()
    training = {
        "model": {"parameters_count": 1507}, "rows": {"train": 5034}, "best_epoch": 15, "epochs": 27,
    }  # fmt: skip
    results = {"training": training, "backtest": {"metrics": METRICS}}
    study = {
        "study_id": "s", "status": "RUNNING", "waiting_reason": "", "progress": {"percentage": 5.0},
        "trials": {"completed": 195}, "verdict": "luck",
    }  # fmt: skip

    def answers(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/market-data" and request.method == "GET":
            rows = [{"symbol": "IBM", "timeframe": "1d", "rows": 3270}] if seen["/market-data"] else []
            return httpx.Response(200, json={"results": rows})
        seen[path] += 1
        if path == "/studies":
            return httpx.Response(202, json={"study_id": "s"})
        if path == "/studies/s":
            status = "RUNNING" if seen[path] == 1 else "COMPLETED"
            return httpx.Response(200, json={**study, "status": status})
        if request.method == "POST":
            kind = {"/training/start": "training", "/backtests/start": "backtest"}.get(path, "import")
            return httpx.Response(202, json={"operation_id": kind})
        if seen[path] == 1:
            return httpx.Response(200, json={"status": "RUNNING", "progress": {"percentage": 40.0}})
        return httpx.Response(200, json={"status": "COMPLETED", "result": results.get(path.split("/")[-1])})

    lines = (await run(backend(answers))).splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["import", "done"],
        ["training", "done"],
        ["backtest", "done"],
        ["study", "done"],
    ]
    assert lines[0].endswith("3,270 daily bars of AAPL, FB, GOOG, IBM, MSFT")
    assert lines[1].endswith("1,507 parameters on 5,034 rows; best epoch 15 of 27")
    assert lines[2].endswith("12 trades, -3.1 % after costs")
    assert lines[3].endswith("195 trials; verdict: luck")


def test_a_study_without_a_believed_winner_is_reported_with_what_speaks_against_it() -> None:
    reasons = [
        {"code": "dsr", "message": "The probability is 12.0 %.", "passed": False},
        {"code": "spa", "message": "Luck finds it in 3.0 % of the searches.", "passed": True},
    ]
    study = {"trials": {"completed": 1195}, "report": {"verdict": "luck", "reasons": reasons}}
    assert summarize_study(study) == [
        "The study tried 1,195 settings of two moving averages: its winner is luck.",
        "note: The probability is 12.0 %.",
    ]
    believed = {"verdict": "believed", "reasons": reasons[1:]}
    assert summarize_study({**study, "report": believed})[1:] == [
        "note: Luck finds it in 3.0 % of the searches."
    ]
