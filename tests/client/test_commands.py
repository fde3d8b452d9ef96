"""The command `ktrdr`: requests that the API document has, exit statuses, and foreign text that stays text."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from ktrdr_client.cli import following, main
from ktrdr_client.cli.main import COMMANDS
from ktrdr_client.visible_text import one_line, visible

from tests.client.documented_site import FILES, OPERATION, STUDY, DocumentedSite
from worker_agent import visible_text as of_the_site

ESCAPES = "\x1b]0;owned\x07\u202etxt.exe\u2028\x9b31m"


@pytest.fixture
def site() -> DocumentedSite:
    return DocumentedSite()


@pytest.fixture
def strategy(tmp_path: Path) -> str:
    file = tmp_path / "a.yaml"
    file.write_text("name: a\n")
    return str(file)


def run(site: Any, *arguments: str) -> int:
    return main.main(["--url", "http://site", *arguments], transport=httpx.MockTransport(site))


def answering(*documents: dict[str, Any], status: int = 200) -> Any:
    """Return a site that gives these answers in turn, the last one again and again; it has no metrics."""
    left = list(documents)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/metrics"):
            return httpx.Response(200, json={"results": [], "next_cursor": 0})
        return httpx.Response(status, json=left.pop(0) if len(left) > 1 else left[0])

    return answer


COMMAND_LINES = [
    "submit training {strategy} --symbols AAPL IBM --from 2020-01-01 --to 2020-12-31 --seed 3 --after op0 --priority 2 --wait",
    "submit backtest {strategy} --symbol AAPL --commission 0.002 --stop-loss 0.1 --wait",
    "submit backtest --symbol AAPL --model op0 --after op0",
    "submit operation echo -p seconds=1.5 -p text=hello --wait",
    "submit study {strategy} --strategy {strategy} --wait",
    "follow op1",
    "list --status FAILED,CANCELLED --type echo --tag fx --search a --user me --limit 3",
    "list --json",
    "cancel op1 op2 --reason late",
    "import {strategy} --symbol AAPL --timeframe 1d --adjust --decimal comma --wait",
    "export AAPL 1d",
    "workers",
    "copy --from http://other --replace",
    "workers --json",
]


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_a_command_asks_only_for_what_the_document_has(
    site: DocumentedSite, strategy: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(site, *line.format(strategy=strategy).split()) == 0
    assert any(capsys.readouterr())


def test_each_command_is_tried() -> None:
    assert {line.split()[0] for line in COMMAND_LINES} == COMMANDS.keys()


def test_a_list_shows_name_age_and_result(site: DocumentedSite, capsys: pytest.CaptureFixture[str]) -> None:
    run(site, "list")
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["ID", "TYPE", "STATUS", "AGE", "RESULT", "NAME"]
    assert row.startswith("op1  echo  COMPLETED  ")
    assert row.endswith("d  return +1 %  AAPL")


def test_bars_are_exported_as_parquet_or_csv(site: DocumentedSite, tmp_path: Path) -> None:
    parquet, csv = tmp_path / "a.parquet", tmp_path / "a.csv"
    run(site, "export", "AAPL", "1d", "-o", str(parquet))
    run(site, "export", "AAPL", "1d", "-o", str(csv))
    assert parquet.read_bytes() == FILES["bars"]
    assert csv.read_text().splitlines()[:2] == ["time,close", "2020-01-01 00:00:00+00:00,1.0"]


class TwoSites:
    """By host: the series and strategies of each, as symbol or name -> hash; those that the target refuses to take."""

    def __init__(self, source: dict[str, str], target: dict[str, str], refused: str = "") -> None:
        self.sites = {"other": source, "site": target}
        self.refused = refused
        self.copied: list[str] = []
        self.tokens: set[tuple[str, str]] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        host, path = request.url.host, request.url.path
        self.tokens.add((host, request.headers.get("Authorization", "")))
        hashes = self.sites[host]
        if request.method == "POST":
            return self._store(request)
        if path == "/market-data":
            rows = [
                {"symbol": name, "timeframe": "1d", "rows": 2, "sha256": sha256, **SPAN}
                for name, sha256 in hashes.items()
            ]
            return httpx.Response(200, json={"results": rows, "next": None})
        if path == "/strategies":
            labels = {"title": "t", "note": "", "tags": ["a"], "version": 3}
            rows = [{"name": name, "digest": digest, **labels} for name, digest in hashes.items()]
            return httpx.Response(200, json={"results": rows, "next": None})
        if path.startswith("/operations/"):
            return httpx.Response(200, json=OPERATION)
        name = path.split("/")[2]
        if path.endswith("/versions/3"):
            return httpx.Response(200, json={"strategy_yaml": f"text of {name}"})
        return httpx.Response(200, content=f"bars of {name}".encode())

    def _store(self, request: httpx.Request) -> httpx.Response:
        assert request.url.host == "site", "nothing changes at the source"
        content = request.content.decode(errors="replace")
        if self.refused and self.refused in content:
            return httpx.Response(422, json={"status": 422, "title": "Invalid", "detail": f"no {ESCAPES}"})
        self.copied.append(f"{request.url.path} {content}")
        return httpx.Response(201, json=OPERATION)


SPAN = {"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"}


def test_copy_brings_what_is_missing_and_keeps_what_is_here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KTRDR_TOKEN", "of the target")
    monkeypatch.setenv("KTRDR_FROM_TOKEN", "of the source")
    both = TwoSites({"new": "1", "equal": "2", "changed": "3"}, {"equal": "2", "changed": "0"})
    assert run(both, "copy", "--from", "http://other") == 0
    assert capsys.readouterr().out.splitlines() == [
        "new 1d: 2 bars copied",
        "equal 1d: equal",
        "changed 1d: different here, kept (--replace copies it)",
        "strategy new: version 3 copied",
        "strategy equal: equal",
        "strategy changed: different here, kept (--replace copies it)",
    ]
    bars, strategy = both.copied
    assert "bars of new" in bars
    assert json.loads(strategy.removeprefix("/strategies ")) == {
        "name": "new", "strategy_yaml": "text of new", "title": "t", "note": "", "tags": ["a"],
    }  # fmt: skip
    assert both.tokens == {("site", "Bearer of the target"), ("other", "Bearer of the source")}


def test_copy_replaces_on_demand_and_only_what_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    both = TwoSites({"AAPL": "1", "IBM": "2"}, {"AAPL": "0", "IBM": "0"})
    assert run(both, "copy", "--from", "http://other", "market-data", "--symbol", "IBM", "--replace") == 0
    assert capsys.readouterr().out == "IBM 1d: 2 bars copied\n"
    assert run(both, "copy", "--from", "http://other", "strategies", "--replace") == 0
    assert [line.split()[0] for line in both.copied[1:]] == [
        "/strategies/AAPL/versions",
        "/strategies/IBM/versions",
    ]


@pytest.mark.parametrize("refused", ["bars of a", "text of a"])
def test_copy_goes_on_after_a_failure_and_exits_with_1(
    refused: str, capsys: pytest.CaptureFixture[str]
) -> None:
    both = TwoSites({"a": "1", "b": "2"}, {}, refused)
    assert run(both, "copy", "--from", "http://other") == 1
    assert len(both.copied) == 3
    shown = capsys.readouterr()
    assert shown.out.count("failed: ") == 1
    assert "\x1b" not in shown.out
    assert "run the command again" in shown.err


def test_copy_knows_what_it_can_copy(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(TwoSites({}, {}), "copy", "--from", "http://other", "models") == 1
    assert "cannot copy 'models'" in capsys.readouterr().err


@pytest.mark.parametrize(("status", "exit_status"), [("COMPLETED", 0), ("FAILED", 1), ("CANCELLED", 3)])
def test_the_exit_status_is_the_end_of_the_operation(
    status: str, exit_status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    error = {"class": "job", "message": f"boom {ESCAPES}"} if status == "FAILED" else None
    assert run(answering({**OPERATION, "status": status, "error": error}), "follow", "op1") == exit_status
    shown = capsys.readouterr().err
    assert ("boom \\x1b]0;owned" in shown) == (status == "FAILED")
    assert "\x1b" not in shown


def test_ctrl_c_detaches_and_names_the_command_that_follows_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(following.time, "sleep", interrupt)
    assert run(answering({**OPERATION, "status": "RUNNING"}), "follow", "op1") == 130
    assert "ktrdr follow op1" in capsys.readouterr().err


def test_a_study_is_followed_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("ktrdr_client.sync.studies.POLL_S", 0.0)
    running = {**STUDY, "status": "RUNNING", "progress": {"percentage": 50.0}}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/operations"):
            return httpx.Response(
                404, json={"status": 404, "title": "Not Found", "detail": "Unknown operation."}
            )
        return httpx.Response(200, json=states.pop(0))

    states = [running, running, STUDY]
    assert run(answer, "follow", "st1") == 0
    assert "open  best trial 0: 1.0" in capsys.readouterr().out
    paused = {**STUDY, "status": "PAUSED", "waiting_reason": "too many failures", "verdict": None}
    states = [running, paused]
    assert run(answer, "follow", "st1") == 1
    assert "too many failures" in capsys.readouterr().err


def test_following_an_unknown_id_names_operation_and_study(capsys: pytest.CaptureFixture[str]) -> None:
    unknown = {"status": 404, "title": "Not Found", "detail": "Unknown study."}
    assert run(answering(unknown, status=404), "follow", "op1") == 1
    assert "Unknown operation or study: op1." in capsys.readouterr().err


def test_a_refusal_is_shown_with_its_pointers_and_exit_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    problem = {
        "status": 422, "title": "Unprocessable Content", "detail": "1 field is not valid.", "request_id": "r1",
        "errors": [{"pointer": "/symbol", "detail": f"No data for {ESCAPES}"}],
    }  # fmt: skip
    assert run(answering(problem, status=422), "submit", "backtest", "--symbol", "X", "--model", "m") == 1
    shown = capsys.readouterr().err
    assert "/symbol: No data for \\x1b" in shown
    assert not set(shown) & set("\x1b\x07\u202e\u2028\x9b")


def test_a_missing_file_is_one_sentence(site: DocumentedSite, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(site, "submit", "training", "nothing.yaml") == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_foreign_text_in_a_list_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    row = {**OPERATION, "title": f"first\nsecond {ESCAPES}"}
    run(answering({"results": [row], "next": None, "previous": None}), "list")
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) == 2
    assert not set(shown) & set("\x1b\x07\u202e\u2028\x9b")


def test_exactly_the_characters_that_the_site_escapes_are_escaped_here() -> None:
    text = "".join(map(chr, range(0x110000)))
    assert visible(text) == of_the_site.visible(text)
    assert one_line("a\nb") == "a\\nb"


def test_json_keeps_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    row = {**OPERATION, "title": ESCAPES}
    run(answering({"results": [row], "next": None, "previous": None}), "list", "--json")
    shown = capsys.readouterr().out
    assert json.loads(shown)[0]["title"] == ESCAPES
    assert "\x1b" not in shown
