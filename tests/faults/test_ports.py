"""Ports for servers that tests start."""

from itertools import islice

import pytest

from tests.faults.processes import PORTS, free_port, ports_in_turn


def test_a_chosen_port_is_not_chosen_again_before_its_server_starts() -> None:
    chosen = [free_port() for _ in range(500)]
    assert len(set(chosen)) == 500
    assert set(chosen) <= set(PORTS)


def test_processes_of_one_run_share_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "3")
    chosen: list[int] = []
    for number in range(3):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", f"gw{number}")
        chosen += islice(ports_in_turn(), len(PORTS) // 3)
    assert sorted(chosen) == list(PORTS)
