"""Uploads and secrets in the client and the command: files arrive whole, and values of secrets are shown nowhere."""

import json
import logging
import traceback
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from ktrdr_client import AsyncClient, Client, NotReachable, ProblemError
from ktrdr_client.problems import MAX_TEXT

from tests.client.command_line import VALUE, Terminal, pipe, run
from tests.client.documented_site import UPLOAD, DocumentedSite


@pytest.mark.parametrize("failures", [0, 2])
@pytest.mark.parametrize("source", [b"content \x00\xff", "file"])
def test_an_upload_is_sent_whole_again_after_a_broken_connection(
    failures: int, source: bytes | str, tmp_path: Path
) -> None:
    content = b"content \x00\xff"
    file = tmp_path / "prices.csv"
    file.write_bytes(content)
    sent: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        if len(sent) <= failures:
            raise httpx.ReadError("broken")
        return httpx.Response(201, json=UPLOAD)

    client = Client("http://site", transport=httpx.MockTransport(answer))
    client.uploads.send(file if source == "file" else content, "quotes.csv")
    assert len(sent) == failures + 1
    assert all(content in body and b'filename="quotes.csv"' in body for body in sent)


async def test_the_client_with_coroutines_sends_files_too(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_bytes(b"abc")
    async with AsyncClient("http://site", transport=httpx.MockTransport(DocumentedSite())) as client:
        assert (await client.uploads.send(file)).id == "up1"
        assert (await (await client.seed_runs.get("sr1")).wait()).operations[0].status == "COMPLETED"


def test_bytes_without_a_name_are_not_sent(client: Client, site: DocumentedSite) -> None:
    with pytest.raises(ValueError, match="need a name"):
        client.uploads.send(b"abc")
    assert site.requests == []


def test_a_file_that_cannot_be_read_is_one_sentence(
    site: DocumentedSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (tmp_path, tmp_path / "missing.csv"):
        assert run(site, "upload", str(file)) == 1
        assert capsys.readouterr().err.count("\n") == 1
    assert site.requests == []


SECRET_VALUE = 'a "value" with \\ and ü'
ECHOES = [
    lambda sent: httpx.Response(422, json={"status": 422, "title": "x", "detail": f"bad {sent}", "errors": [
        {"pointer": "/value", "detail": f"{sent!r} is bad {sent}"}]}),
    lambda sent: httpx.Response(403, text=f"<html>{sent}</html>"),
    lambda sent: httpx.Response(502, text="x" * (MAX_TEXT - 12) + sent),
    lambda sent: httpx.Response(400, content=json.dumps({"value": sent}).encode()),
    lambda sent: httpx.Response(400, content=json.dumps({"value": sent}, ensure_ascii=False).encode()),
]  # fmt: skip


@pytest.mark.parametrize("echo", ECHOES)
def test_no_error_and_no_log_line_shows_the_value_of_a_secret(
    echo: Callable[[str], httpx.Response], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = Client("http://site", transport=httpx.MockTransport(lambda _: echo(SECRET_VALUE)))
    with pytest.raises(ProblemError) as problem:
        client.secrets.set("KEY", SECRET_VALUE)
    shown = "".join(traceback.format_exception(problem.value)) + repr(problem.value) + caplog.text
    shown += json.dumps(problem.value.document, ensure_ascii=False) + repr(problem.value.errors)
    assert "KEY" in shown, "the test reads what is shown"
    assert "hidden]" in shown
    for part in ("a value with", 'a "value', 'a \\"value', "and ü"):
        assert part not in shown


@pytest.mark.parametrize("failure", [httpx.ReadError, httpx.ConnectTimeout, httpx.RemoteProtocolError])
def test_a_broken_connection_does_not_show_the_value_of_a_secret(failure: type[httpx.TransportError]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise failure("broken", request=request)

    with pytest.raises(NotReachable) as problem:
        Client("http://site", transport=httpx.MockTransport(answer)).secrets.set("KEY", SECRET_VALUE)
    assert "and ü" not in "".join(traceback.format_exception(problem.value))


def test_a_value_that_cannot_be_sent_is_not_in_the_error(client: Client, site: DocumentedSite) -> None:
    with pytest.raises(ValueError, match="The value of KEY is not valid Unicode") as problem:
        client.secrets.set("KEY", "do not show me \udc80")
    chain = [problem.value, problem.value.__cause__, problem.value.__context__]
    assert "show me" not in "".join(map(repr, chain))
    assert site.requests == []


@pytest.mark.parametrize("ending", ["", "\n"])
def test_the_value_of_a_secret_is_read_from_a_pipe_and_shown_nowhere(
    ending: str, site: DocumentedSite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe(monkeypatch, f"{VALUE}\nwith two lines{ending}")
    assert run(site, "secrets", "set", "NEWS_API_KEY", "--worker-type", "news") == 0
    sent = json.loads(site.requests[0].content)
    assert sent == {"value": f"{VALUE}\nwith two lines", "worker_types": ["news"]}
    shown = capsys.readouterr()
    assert shown.out == "NEWS_API_KEY is stored; worker types that may read it: news\n"
    assert shown.err == ""


def test_the_value_of_a_secret_is_asked_for_without_echo(
    site: DocumentedSite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts: list[str] = []
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("ktrdr_client.cli.storing.getpass", lambda text: prompts.append(text) or VALUE)
    assert run(site, "secrets", "set", "NEWS_API_KEY") == 0
    assert json.loads(site.requests[0].content) == {"value": VALUE}
    assert prompts == ["Value of NEWS_API_KEY: "]
    assert VALUE not in "".join(capsys.readouterr())


def test_the_types_of_a_secret_change_without_its_value(site: DocumentedSite) -> None:
    assert run(site, "secrets", "set", "A", "--keep-value", "--worker-type", "news") == 0
    assert json.loads(site.requests[0].content) == {"worker_types": ["news"]}


@pytest.mark.parametrize("content", [b"\xff\xfe do not show me", b"do not show me \xed\xa0\x80"])
def test_a_value_that_is_not_text_is_refused_unseen(
    content: bytes, site: DocumentedSite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe(monkeypatch, content)
    assert run(site, "secrets", "set", "A") == 1
    assert capsys.readouterr().err == "ktrdr: the value of A is not UTF-8 text\n"
    assert site.requests == []


def test_a_value_as_an_argument_is_refused_and_not_repeated(
    site: DocumentedSite, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(site, "secrets", "set", "A", "do-not-show-me") == 1
    shown = capsys.readouterr().err
    assert "a value must not be an argument" in shown
    assert "show-me" not in shown
    assert site.requests == []
