"""The command `ktrdr` in tests: how it is run, what it reads, and the lines that try each command."""

import io
from typing import Any

import httpx
import pytest
from ktrdr_client.cli import main

VALUE = "the value of a secret"
ESCAPES = "\x1b]0;owned\x07\u202etxt.exe\u2028\x9b31m"
COMMAND_LINES = [
    "submit training {strategy} --symbols AAPL IBM --from 2020-01-01 --to 2020-12-31 --seed 3 --after op0 --priority 2 --wait",
    "submit backtest {strategy} --symbol AAPL --commission 0.002 --stop-loss 0.1 --wait",
    "submit backtest --symbol AAPL --model op0 --after op0",
    "submit operation echo -p seconds=1.5 -p text=hello --wait",
    "submit study {strategy} --strategy {strategy} --wait",
    "submit training {strategy} --seeds 3 --seed 7 --priority 2 --wait",
    "submit training {strategy} --seeds 3",
    "follow op1",
    "list --status FAILED,CANCELLED --type echo --tag fx --search a --user me --limit 3",
    "list --json",
    "runs trades>30 --order dsr --limit 3 --archived any",
    "runs --order max_drawdown --ascending --json",
    "cancel op1 op2 --reason late",
    "import {strategy} --symbol AAPL --timeframe 1d --adjust --decimal comma --wait",
    "export AAPL 1d",
    "schedules list --limit 3",
    "schedules list --json",
    "schedules pause sc1 sc2 --reason holidays",
    "schedules resume sc1",
    "schedules delete sc1 sc2",
    "schedules runs sc1 --limit 3",
    "schedules runs sc1 --json",
    "upload {strategy}",
    "upload {strategy} --name prices.csv",
    "secrets list",
    "secrets list --json",
    "secrets set NEWS_API_KEY --worker-type news --worker-type quotes",
    "secrets set NEWS_API_KEY --keep-value --worker-type news",
    "secrets delete A B",
    "workers",
    "copy --from http://other --replace",
    "workers --json",
]


def pipe(monkeypatch: pytest.MonkeyPatch, content: str | bytes) -> None:
    """Let the standard input be a pipe with this content."""
    data = content.encode() if isinstance(content, str) else content
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


class Terminal(io.StringIO):
    """A standard input that must not be read with echo."""

    def isatty(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> str:
        raise AssertionError("read with echo")


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
