"""`ktrdr_client` asks only for what the OpenAPI document has, and returns what it promises."""

import ast
import inspect
import math
import re
import sys
import tomllib
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import ktrdr_client
import pandas as pd
import pytest
from ktrdr_client import (
    AsyncClient,
    Client,
    ClientError,
    NotReachable,
    Operation,
    OperationFailed,
    ProblemError,
    Study,
    WaitTimeout,
)
from ktrdr_client.sync import client as client_module

from tests.api_document import document, schema_errors
from tests.client.documented_site import (
    ANSWERS,
    BY_GROUP,
    FILES,
    OPERATION,
    TIMES,
    DocumentedSite,
)
from tools import blocking_client
from tools.blocking_client import PACKAGE

STRATEGY = "name: a\n"


class Recorder:
    """Calls methods of an object and keeps their names."""

    def __init__(self, target: object) -> None:
        self.target = target
        self.names: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.names.add(name)
        return getattr(self.target, name)

    def assert_all_called(self) -> None:
        public = {
            name
            for name, _ in inspect.getmembers(type(self.target), inspect.isfunction)
            if not name.startswith("_")
        }
        assert public - self.names == set(), type(self.target).__name__


def test_each_method_asks_only_for_what_the_document_has(client: Client, tmp_path: Path) -> None:
    strategy = tmp_path / "strategy.yaml"
    strategy.write_text(STRATEGY)
    frame = pd.DataFrame({"close": [1.0]}, index=TIMES[:1])
    root, operations, data = Recorder(client), Recorder(client.operations), Recorder(client.market_data)
    trainings, backtests, studies = (
        Recorder(client.trainings),
        Recorder(client.backtests),
        Recorder(client.studies),
    )
    recorders = [root, operations, data, trainings, backtests, studies]

    training = trainings.start(strategy, ["AAPL"], seed=7)
    backtests.start("AAPL", model=training, start_date="2020-01-01")
    backtests.start_many([{"symbol": "AAPL", "strategy": STRATEGY}])
    data.import_(frame, "AAPL", "1d", adjust=True)
    assert list(data.get("AAPL", "1d")["close"]) == [1.0, 2.0, 3.0]
    assert data.parquet("AAPL", "1d") == FILES["bars"]
    assert list(data.coverage()["rows"]) == [2]
    data.delete("AAPL", "1d")
    operation = operations.submit("echo", {"seconds": 1}, priority=5)
    operations.batch([{"operation_type": "echo", "parameters": {}}])
    operations.get("op1")
    (listed,) = operations.find(limit=3, status="FAILED", active=False, tag="a,b")
    for read in (lambda: listed.metrics, lambda: ktrdr_client.results([listed])):
        with pytest.raises(ClientError, match=r"refresh\(\) of operation op1 first"):
            read()
    assert listed.refresh().metrics["sharpe"] == 0.5
    operations.types()
    assert list(operations.wait([operation])["sharpe"]) == [0.5]
    root.wait([operation, training])
    root.workers(gpu=True, operation_type="echo")
    root.validate(STRATEGY)
    study = studies.submit("study: '1.0'\n", STRATEGY, model=training, priority=1)
    studies.plan("study: '1.0'\n", STRATEGY)
    studies.get("st1")
    studies.find(status="RUNNING")
    recorders += [_use_operation(operation), _use_study(study)]
    runs = Recorder(client.runs)
    assert runs.rows("sharpe > 1", "-dsr", 3, archived="any")[0]["settings"]["commission"] == 0.001
    assert runs.find("tag = fx").loc["op1", ["sharpe", "tags"]].tolist() == [1.25, "daily fx"]
    recorders += [runs, *_use_seed_runs(client), *_use_schedules(client)]
    recorders += [*_use_uploads(client, strategy), _use_secrets(client), _use_strategies(client)]
    root.close()
    for recorder in recorders:
        recorder.assert_all_called()


def _use_operation(operation: Operation) -> Recorder:
    used = Recorder(operation)
    used.refresh()
    used.wait()
    used.cancel("not needed")
    used.retry()
    used.resume()
    used.label(title="a title", tags=["fx"])
    assert used.result_values() == [("Sharpe", "0.5"), ("Accuracy, test", "60.0 %")]
    assert used.artifacts() == [{"name": "report.json"}]
    assert used.artifact("report.json") == FILES["report.json"]
    assert used.table("trades.csv")["entry_time"].dt.year.tolist() == [2020]
    assert used.report() == {"trades": []}
    assert list(used.equity().index) == list(TIMES)
    assert list(used.trades()["pnl"]) == [1.0]
    assert used.points()["loss"].to_dict() == {1: 0.5}
    assert len(list(used.newer("logs"))) == 1
    return used


def _use_study(study: Study) -> Recorder:
    used = Recorder(study)
    used.refresh()
    used.wait()
    used.follow()
    assert used.trials().loc[0, ["/a", "score.trades"]].tolist() == [1, 30]
    assert list(used.report()) == ["curves", "paths", "walk_forward"]
    assert used.growth()[0].tolist() == [1.1, 1.21]
    assert used.returns(best=1)[0].tolist() == pytest.approx([0.1, 0.1])
    assert list(used.paths().columns) == ["low", "median", "high"]
    assert used.windows()["/a"].tolist() == [1]
    assert [operation.id for operation in used.promote(0)] == ["op1"]
    used.pause()
    used.resume()
    used.cancel()
    used.extend(trials=10)
    used.look_at_holdout()
    return used


def _use_seed_runs(client: Client) -> list[Recorder]:
    runs = Recorder(client.seed_runs)
    training = {
        "operation_type": "training",
        "strategy_yaml": STRATEGY,
        "symbols": ["AAPL"],
        "end_date": date(2020, 1, 1),
    }
    run = runs.submit(3, training, backtest={"symbol": "AAPL"})
    assert runs.get("sr1").id == run.id == "sr1"
    (listed,) = runs.find(limit=3)
    with pytest.raises(ClientError, match=r"refresh\(\) of seed run sr1"):
        listed.spread  # noqa: B018
    used = Recorder(run)
    assert used.refresh().operations[0].status == "RUNNING"
    assert [operation.metrics["sharpe"] for operation in used.wait().operations] == [0.5]
    spread = run.spread
    assert spread.loc[("echo", "sharpe"), ["count", "minimum", "deviation"]].tolist() == [2, 0.25, 0.353553]
    assert math.isnan(spread.loc[("echo", "trades"), "deviation"])
    return [runs, used]


def _use_schedules(client: Client) -> list[Recorder]:
    schedules = Recorder(client.schedules)
    schedule = schedules.create(
        "nightly", "0 3 * * *", {"operation_type": "echo"}, time_zone="UTC", overlap="queue"
    )
    assert (schedule.id, schedule.is_paused) == ("sc1", False)
    assert [row.id for row in schedules.find(limit=3)] == [schedules.get("sc1").id]
    used = Recorder(schedule)
    used.refresh()
    used.change(cron="0 4 * * *", catch_up="skip")
    used.pause("holidays")
    used.resume()
    assert [row["outcome"] for row in used.runs(limit=1)] == ["skipped"]
    used.delete()
    return [schedules, used]


def _use_uploads(client: Client, file: Path) -> list[Recorder]:
    uploads = Recorder(client.uploads)
    upload = uploads.send(file)
    assert (upload.id, upload.name) == ("up1", "prices.csv")
    uploads.send(b"abc", "prices.csv")
    assert [row.id for row in uploads.find()] == [uploads.get("up1").id]
    used = Recorder(upload)
    used.delete()
    return [uploads, used]


def _use_secrets(client: Client) -> Recorder:
    used = Recorder(client.secrets)
    assert [row["name"] for row in used.find()] == ["NEWS_API_KEY"]
    used.set("NEWS_API_KEY", "the value", ["news"])
    used.delete("NEWS_API_KEY")
    return used


def _use_strategies(client: Client) -> Recorder:
    used = Recorder(client.strategies)
    assert [row["name"] for row in used.list()] == ["a"]
    assert used.text("a", 1) == STRATEGY
    used.save("a", STRATEGY)
    used.add_version("a", STRATEGY, "why")
    return used


def test_the_answers_of_these_tests_are_those_of_the_document() -> None:
    calls = {call["operationId"]: call for path in document()["paths"].values() for call in path.values()}
    checked = 0
    for identifier, call in calls.items():
        group = next((name for name in BY_GROUP if identifier.startswith(name)), "studies")
        if group != "studies":
            code = next(code for code in call["responses"] if code.startswith("2"))
            content = call["responses"][code].get("content")
            answer = ANSWERS.get(identifier, BY_GROUP[group])
            assert (answer is None) == (content is None), identifier
            if content is not None:
                assert schema_errors(content["application/json"]["schema"], answer) == [], identifier
            checked += 1
    assert checked > 15


@pytest.mark.parametrize("name", ["..", ".", "a/b", "ü?#", "a\nb"])
@pytest.mark.parametrize("call", ["schedules", "seed_runs", "uploads", "operations", "studies"])
def test_an_id_cannot_leave_its_part_of_the_path(name: str, call: str) -> None:
    unknown = {"status": 404, "title": "Not Found", "detail": "Unknown."}
    paths: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path.decode())
        return httpx.Response(404, json=unknown)

    client = Client("http://site", transport=httpx.MockTransport(answer))
    with pytest.raises(ProblemError, match="404 Not Found: Unknown"):
        getattr(client, call).get(name)
    with pytest.raises(ValueError, match="empty"):
        getattr(client, call).get("")
    (path,) = paths
    _, group, last = path.split("/")
    assert group == call.replace("_", "-")
    assert unquote(last) == name


def test_the_blocking_client_is_written_from_the_one_with_coroutines() -> None:
    written = {path.name: path.read_text() for path in sorted(blocking_client.TARGET.glob("*.py"))}
    assert written == blocking_client.files(), "run python -m tools.blocking_client"


def test_the_client_imports_only_what_its_distribution_requires() -> None:
    imported = {
        name.partition(".")[0]
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for name in _imported_names(node)
    }
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    required = [*project["dependencies"], *project["optional-dependencies"]["progress"]]
    assert imported - sys.stdlib_module_names - {"ktrdr_client"} == {
        re.split(r"\W", requirement)[0] for requirement in required
    }


def _imported_names(node: ast.AST) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(module=str(module)):
            return [module]
    return []


async def test_the_client_with_coroutines_has_the_same_methods(site: DocumentedSite) -> None:
    async with AsyncClient("http://site", "secret", transport=httpx.MockTransport(site)) as client:
        operation = await (await client.operations.submit("echo")).wait()
        assert operation.metrics == {"sharpe": 0.5, "test.accuracy": 0.6}
        assert [row.id for row in await client.operations.find()] == ["op1"]
        assert await operation.points() is not None


@pytest.mark.parametrize("prefix", ["", "/ktrdr"])
def test_all_pages_of_a_list_are_read_up_to_the_limit(prefix: str) -> None:
    requested = []

    def answer(request: httpx.Request) -> httpx.Response:
        requested.append(str(request.url))
        number = int(request.url.params.get("cursor", 0))
        rows = [{**OPERATION, "operation_id": f"op{number}-{row}"} for row in range(200)]
        following = (
            f"http://elsewhere{prefix}/operations?cursor={number + 1}&limit=200" if number < 2 else None
        )
        return httpx.Response(200, json={"results": rows, "next": following, "previous": None})

    client = Client(f"http://site{prefix}", transport=httpx.MockTransport(answer))
    assert len({row.id for row in client.operations.find(limit=None)}) == 600
    assert requested == [
        f"http://site{prefix}/operations?limit=200",
        f"http://site{prefix}/operations?cursor=1&limit=200",
        f"http://site{prefix}/operations?cursor=2&limit=200",
    ]
    assert len(client.operations.find(limit=201)) == 201
    assert len(requested) == 5


def test_a_problem_shows_the_document() -> None:
    document = {
        "type": "about:blank", "title": "Unprocessable Content", "status": 422, "detail": "1 field is not valid.",
        "request_id": "r1", "errors": [{"pointer": "/strategy_yaml", "detail": "no such key", "line": 3, "column": 5}],
    }  # fmt: skip
    transport = httpx.MockTransport(lambda _: httpx.Response(422, json=document))
    with pytest.raises(ProblemError) as problem:
        Client("http://site", transport=transport).trainings.start(STRATEGY)
    assert (problem.value.status, problem.value.pointers, problem.value.request_id) == (
        422,
        ["/strategy_yaml"],
        "r1",
    )
    assert "/strategy_yaml line 3, column 5: no such key" in str(problem.value)


def test_a_problem_of_a_proxy_is_shown_too() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(404, text="<html>nothing</html>"))
    with pytest.raises(ProblemError, match="404 Not Found: <html>nothing</html>"):
        Client("http://site", transport=transport).operations.get("op1")


class Flaky:
    """Answers with each of these statuses, then with success; 0 is a broken connection."""

    def __init__(self, *statuses: int, body: object = None) -> None:
        self.statuses = list(statuses)
        self.body = body or {"title": "busy", "status": 503, "detail": "busy"}
        self.keys: list[str | None] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.keys.append(request.headers.get("Idempotency-Key"))
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 0:
            raise httpx.ReadError("broken")
        headers = {"Retry-After": "0"}
        return httpx.Response(status, json=OPERATION if status == 200 else self.body, headers=headers)

    @property
    def client(self) -> Client:
        return Client("http://site", transport=httpx.MockTransport(self))


def test_a_creation_is_repeated_with_the_same_key_and_a_change_is_not_repeated() -> None:
    site = Flaky(503, 0, 429)
    site.client.operations.submit("echo")
    assert len(site.keys) == 4
    assert len(set(site.keys)) == 1
    assert site.keys[0]
    change = Flaky(503)
    with pytest.raises(ProblemError):
        Operation(change.client.operations._session, dict(OPERATION)).cancel()
    assert change.keys == [None]


def test_no_worker_for_what_may_not_wait_is_an_answer_and_not_repeated() -> None:
    site = Flaky(503, body={"title": "x", "status": 503, "detail": "no worker", "registered": 0})
    with pytest.raises(ProblemError, match="no worker"):
        site.client.operations.submit("echo", queue=False)
    assert len(site.keys) == 1


def test_a_site_that_stays_away_is_reported() -> None:
    with pytest.raises(NotReachable, match="http://site is not reachable: broken"):
        Flaky(*[0] * 20).client.operations.get("op1")


def test_waiting_ends_with_the_failure_or_the_limit() -> None:
    failed = {**OPERATION, "status": "FAILED", "error": {"class": "job", "message": "boom"}}
    client = Client("http://site", transport=httpx.MockTransport(lambda _: httpx.Response(200, json=failed)))
    with pytest.raises(OperationFailed, match="echo op1 is FAILED: job: boom"):
        client.operations.get("op1").wait()
    assert client.operations.get("op1").wait(check=False).status == "FAILED"
    running = {**OPERATION, "status": "RUNNING"}
    answer = httpx.Response(200, json=running, headers={"Retry-After": "0"})
    client = Client("http://site", transport=httpx.MockTransport(lambda _: answer))
    with pytest.raises(WaitTimeout):
        client.operations.get("op1").wait(timeout_s=0.01)


def test_address_and_token_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, site: DocumentedSite
) -> None:
    monkeypatch.setenv("KTRDR_URL", "http://from-environment")
    monkeypatch.setenv("KTRDR_TOKEN", "ktp_secret\n")
    Client(transport=httpx.MockTransport(site)).workers()
    assert str(site.requests[0].url).startswith("http://from-environment/workers")
    assert site.requests[0].headers["Authorization"] == "Bearer ktp_secret"


def test_the_package_exports_what_it_names() -> None:
    assert all(hasattr(ktrdr_client, name) for name in ktrdr_client.__all__)
    assert client_module.TIMEOUT_S > 30
