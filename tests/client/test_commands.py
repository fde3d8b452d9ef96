"""The command `ktrdr`: requests that the API document has, exit statuses, and foreign text that stays text."""

import json
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ktrdr_client.cli import following, main
from ktrdr_client.cli.main import COMMANDS
from ktrdr_client.visible_text import one_line, visible

from tests.client.command_line import COMMAND_LINES, ESCAPES, VALUE, answering, pipe, run
from tests.client.documented_site import FILES, OPERATION, STUDY, DocumentedSite
from worker_agent import visible_text as of_the_site


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_a_command_asks_only_for_what_the_document_has(
    site: DocumentedSite,
    strategy: str,
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipe(monkeypatch, VALUE)
    assert run(site, *line.format(strategy=strategy).split()) == 0
    assert any(capsys.readouterr())


def leaves(parser: ArgumentParser, *words: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of each command that can be given."""
    parsers = [action for action in parser._actions if isinstance(action, _SubParsersAction)]
    if not parsers:
        yield words
    for action in parsers:
        for name, below in action.choices.items():
            yield from leaves(below, *words, name)


def test_each_command_is_tried() -> None:
    commands = set(leaves(main.parser()))
    assert {words[0] for words in commands} == COMMANDS.keys()
    tried = {
        words for line in COMMAND_LINES for words in commands if tuple(line.split())[: len(words)] == words
    }
    assert tried == commands


def test_a_list_shows_name_age_and_result(site: DocumentedSite, capsys: pytest.CaptureFixture[str]) -> None:
    run(site, "list")
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["ID", "TYPE", "STATUS", "AGE", "RESULT", "NAME"]
    assert row.startswith("op1  echo  COMPLETED  ")
    assert row.endswith("d  return +1 %  AAPL")


@pytest.mark.parametrize("line", ["submit operation echo --wait", "follow op1"])
def test_the_result_is_printed_at_the_end(
    site: DocumentedSite, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    assert run(site, *line.split()) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["Sharpe: 0.5", "Accuracy, test: 60.0 %"]


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
    operation = {**OPERATION, "status": status, "error": error}
    read_twice = [operation, operation, {"results": [operation]}]
    assert run(answering(*read_twice), "follow", "op1") == exit_status
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


REFUSALS = [
    (404, "Unknown schedule.", ()),
    (403, "Only me and staff may change this schedule.", ()),
    (409, "The schedule is paused.", ()),
    (422, "1 field is not valid.", [{"pointer": "/operation/symbols", "detail": f"No data for {ESCAPES}"}]),
    (507, "Your uploads may have 5,000 MB together; they have 5,000 MB.", ()),
]
REFUSED_LINES = [
    line
    for line in COMMAND_LINES
    if line.split()[0] in ("schedules", "upload", "secrets") or "--seeds" in line
]


@pytest.mark.parametrize(("status", "detail", "errors"), REFUSALS)
@pytest.mark.parametrize("line", REFUSED_LINES)
def test_each_refusal_of_the_site_is_one_sentence_with_its_pointers(
    line: str,
    status: int,
    detail: str,
    errors: Any,
    strategy: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pipe(monkeypatch, VALUE)
    problem = {"status": status, "title": "Refused", "detail": detail, "errors": errors}
    assert run(answering(problem, status=status), *line.format(strategy=strategy).split()) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    first, *pointers = shown.err.splitlines()
    assert first == f"ktrdr: {status} Refused: {detail}"
    assert [text.partition(":")[0].strip() for text in pointers] == [error["pointer"] for error in errors]
    assert not set(shown.err) & set("\x1b\x07\u202e\u2028\x9b")
    assert VALUE not in shown.err


@pytest.mark.parametrize(
    "line", ["schedules pause", "schedules resume", "schedules delete", "schedules runs", "follow"]
)
def test_an_empty_id_is_one_sentence(
    line: str, site: DocumentedSite, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(site, *line.split(), "") == 1
    assert capsys.readouterr().err == "ktrdr: An id or a name is empty.\n"
    assert site.requests == []


def test_following_an_unknown_id_names_operation_study_and_seed_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    unknown = {"status": 404, "title": "Not Found", "detail": "Unknown study."}
    assert run(answering(unknown, status=404), "follow", "op1") == 1
    assert "Unknown operation, study or seed run: op1." in capsys.readouterr().err


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
