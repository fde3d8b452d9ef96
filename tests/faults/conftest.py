"""One system for all fault tests: each test gets it whole, and what it submitted is judged afterwards.

With `--tls` its agents serve https under a private CA, and the proxies that misbehave stand inside that TLS.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.certificates import Certificates
from tests.faults.marks import judge
from tests.faults.system import System, running
from tests.waiting import until

AGENTS = 4


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tls", action="store_true", help="the fault tests' agents serve https")


@pytest.fixture(scope="session")
def tls(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("--tls", default=False))


@pytest.fixture(scope="session")
def shared_system(tls: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    directory = Path(tmp_path_factory.mktemp("faults"))
    certificates = Certificates(directory / "certificates") if tls else None
    with running(directory, AGENTS, certificates=certificates) as system:
        for name in system.expected:
            worker = system.api.worker(name)
            assert worker is not None
            assert worker["endpoint_url"].startswith(f"{system.scheme}://")
        yield system


@pytest.fixture
def system(shared_system: System, request: pytest.FixtureRequest) -> Iterator[System]:
    """After the test: no operation of it is lost, none ran twice at once, and each that completed ran to its end once."""
    shared_system.heal()
    shared_system.api.submitted.clear()
    shared_system.api.beside.clear()
    failures = request.session.testsfailed
    yield shared_system
    if request.session.testsfailed > failures:
        return  # it has said why
    settle(shared_system)
    verdict = judge(shared_system.api, shared_system.marks)
    for name, value in (
        ("operations", verdict.operations),
        ("attempts", verdict.attempts),
        ("lost", len(verdict.lost)),
        ("doubled", len(verdict.doubled)),
        ("superseded", verdict.superseded),
    ):
        request.node.user_properties.append((name, value))
    assert not verdict.lost, "\n".join(verdict.lost)
    assert not verdict.doubled, "\n".join(verdict.doubled)


def settle(system: System) -> None:
    """Until everything submitted has ended, with whatever processes the test left running."""
    if any(not system.processes.is_up(name) for name in ("web", "dispatcher", "schedules")):
        system.heal()
    for operation_id in system.api.submitted:
        until(
            lambda one=operation_id: (
                system.api.operation(one)["status"] in ("COMPLETED", "FAILED", "CANCELLED")
            ),
            f"{operation_id} has ended",
            60,
            lambda one=operation_id: system.api.story(one),
        )
