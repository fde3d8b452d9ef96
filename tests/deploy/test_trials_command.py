"""The command line of `make deploy-test`; the trials themselves need root and half an hour."""

import sys
from collections.abc import Iterator, Sequence

import pytest

from tests.deployments import __main__ as command
from tests.deployments.results import Results
from tests.deployments.side_by_side import Outcome


@pytest.mark.parametrize(
    ("arguments", "trials", "at_once"),
    [
        ((), list(command.TRIALS), None),
        (("lxc",), ["lxc"], None),
        (("compose", "systemd", "--at-once", "1"), ["compose", "systemd"], 1),
    ],
)
@pytest.mark.parametrize("passed", [True, False])
def test_the_command_runs_the_named_trials_and_prints_their_results(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    trials: list[str],
    at_once: int | None,
    passed: bool,
) -> None:
    asked: list[tuple[list[str], int, str]] = []

    def run_trials(names: Sequence[str], side_by_side: int, release: str) -> Iterator[Outcome]:
        asked.append((list(names), side_by_side, release))
        for name in names:
            yield Outcome(Results(name), passed)

    monkeypatch.setattr(command, "run_trials", run_trials)
    monkeypatch.setattr(command, "install_tools", lambda: None)
    monkeypatch.setattr(command.os, "geteuid", lambda: 0)
    monkeypatch.setattr(command.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["deploy-test", *arguments, "--from", "v1.0"])
    assert command.main() == (0 if passed else 1)
    assert asked == [(trials, at_once or 2, "v1.0")]
    numbers = (len(trials), 0) if passed else (0, len(trials))
    assert "{} passed, {} failed in".format(*numbers) in capsys.readouterr().out
