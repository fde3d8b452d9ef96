"""The whole product as a user starts it: the demo's numbers, a cancelled operation, a worker killed in the middle of one."""

import math
import re
from typing import Any

import httpx
import pytest

from operations.kinds.backtesting.messages import BacktestParameters, BacktestResult
from operations.kinds.training.messages import TrainingParameters, TrainingResult
from tests.authorities import authorities
from tests.stack.system import Up
from tests.waiting import until

pytestmark = pytest.mark.stack

RUN_TIMEOUT_S = 90
FINAL = {"COMPLETED", "FAILED", "CANCELLED"}


def oldest(system: Up, kind: str) -> dict[str, Any]:
    """The demo's own: what other tests submit comes after it."""
    found = system.get(f"/operations?operation_type={kind}")["results"]
    assert found, system.output
    return dict(system.get(f"/operations/{found[-1]['operation_id']}"))


def start_training(system: Up, **changes: Any) -> str:
    parameters = oldest(system, "training")["parameters"]
    wanted = ("strategy_yaml", "symbols", "timeframes", "start_date", "end_date", "seed")
    body = {key: parameters[key] for key in wanted if parameters.get(key) is not None}
    with system.http() as http:
        answer = http.post("/training/start", json={**body, **changes})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["operation_id"])


def until_status(system: Up, operation_id: str, *statuses: str) -> dict[str, Any]:
    def reached() -> dict[str, Any] | None:
        operation = dict(system.get(f"/operations/{operation_id}"))
        assert operation["status"] in statuses or operation["status"] not in FINAL, operation
        return operation if operation["status"] in statuses else None

    what = f"{operation_id} is {' or '.join(statuses)}"
    return until(reached, what, RUN_TIMEOUT_S, lambda: system.output) or {}


def long_strategy(system: Up) -> str:
    """The demo's strategy, made to train for a long time and never to stop early."""
    text = str(oldest(system, "training")["parameters"]["strategy_yaml"])
    text, epochs = re.subn(r"(?m)^(\s*epochs:\s*)\d+", r"\g<1>2000", text)
    text, _ = re.subn(r"(?m)^(\s*patience:\s*)\d+", r"\g<1>2000", text)
    assert epochs == 1
    return text


def test_the_demo_imports_trains_and_backtests_and_its_numbers_hold_together(system: Up) -> None:
    demo = {"AAPL": 3270, "FB": 196, "GOOG": 2148, "IBM": 3270, "MSFT": 3270}
    rows = {row["symbol"]: row["rows"] for row in system.get("/market-data")["results"]}
    assert {symbol: rows.get(symbol) for symbol in demo} == demo  # other tests import symbols of their own
    training = oldest(system, "training")
    assert training["status"] == "COMPLETED"
    assert training["result"]["rows"]["train"] > 3000
    TrainingParameters.model_validate(training["parameters"])
    TrainingResult.model_validate(training["result"])
    backtest = oldest(system, "backtesting")
    result = backtest["result"]
    BacktestParameters.model_validate(backtest["parameters"])
    BacktestResult.model_validate(result)
    metrics = result["metrics"]
    assert result["provenance"]["model_sha256"] == training["result"]["model"]["sha256"]
    assert metrics["initial_capital"] == 100_000
    assert math.isclose(metrics["final_equity"], 100_000 * (1 + metrics["total_return"]), rel_tol=1e-9)
    assert -1 < metrics["max_drawdown"] <= 0
    assert 0 <= metrics["exposure"] <= 1
    # Buying GOOG in January 2010 at 313 and holding it until March 2013 at 403 (adjusted) is about +29 %.
    assert 0.2 < result["benchmark"]["total_return"] < 0.4
    assert result["settings"]["engine_semantics"] == 2
    study = system.get("/studies")["results"][-1]
    assert (study["status"], study["trials"]["completed"]) == ("COMPLETED", study["trials"]["planned"])
    assert study["verdict"] in ("believed", "open", "luck")
    names = {artifact["name"] for artifact in backtest["artifacts"]}
    assert {"report.json", "trades.csv", "trades.parquet", "equity.parquet"} <= names


def test_the_same_training_again_gives_the_same_model_to_the_bit(system: Up) -> None:
    first = oldest(system, "training")["result"]
    again = until_status(system, start_training(system), "COMPLETED")["result"]
    assert again["model"]["sha256"] == first["model"]["sha256"]
    assert again["metrics"] == first["metrics"]


def test_a_cancelled_training_ends_cancelled_and_frees_its_worker(system: Up) -> None:
    operation_id = start_training(system, strategy_yaml=long_strategy(system))
    until_status(system, operation_id, "RUNNING")
    with system.http() as http:
        assert http.delete(f"/operations/{operation_id}/cancel").status_code == 202
    operation = until_status(system, operation_id, "CANCELLED")
    worker = f"/workers/{operation['attempts'][-1]['worker_id']}"
    until(
        lambda: system.get(worker)["status"] == "AVAILABLE", "the worker is free", 15, lambda: system.output
    )
    with system.http() as http:
        assert http.delete(f"/operations/{operation_id}/cancel").status_code == 409


def kill_while_it_trains(system: Up) -> tuple[str, dict[str, Any]]:
    """Kill the worker of a training; return its id and the completed operation. A short training may end before the kill."""
    strategy = str(oldest(system, "training")["parameters"]["strategy_yaml"])
    for _ in range(10):
        operation_id = start_training(system, strategy_yaml=strategy)
        running = until_status(system, operation_id, "RUNNING", "COMPLETED")
        victim = running["attempts"][-1]["worker_id"]
        system.agents()[victim].kill()
        finished = until_status(system, operation_id, "COMPLETED")
        if len(finished["attempts"]) > 1:
            return victim, finished
    pytest.fail("ten trainings ended before their worker was killed")


def test_a_killed_worker_loses_no_operation_and_changes_no_number(system: Up) -> None:
    victim, finished = kill_while_it_trains(system)
    first, second = finished["attempts"]
    assert (first["worker_id"], first["outcome"]) == (victim, "lost")
    assert second["outcome"] == "completed"
    assert second["instance_id"] != first["instance_id"]
    expected = oldest(system, "training")["result"]
    assert finished["result"]["model"]["sha256"] == expected["model"]["sha256"]


def test_a_bad_strategy_is_refused_with_its_place(system: Up) -> None:
    with system.http() as http:
        answer = http.post(
            "/training/start", json={"strategy_yaml": "name: x\nnonsense: 1\n", "symbols": ["AAPL"]}
        )
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert any("nonsense" in error["pointer"] + error["detail"] for error in answer.json()["errors"])


def test_the_site_says_that_it_is_ready_and_nobody_needs_credentials_for_that(system: Up) -> None:

    until(
        lambda: httpx.get(f"{system.url}/readyz", verify=authorities()).status_code == 200,
        "ready",
        20,
        lambda: system.output,
    )
    assert httpx.get(f"{system.url}/operations").status_code == 401
