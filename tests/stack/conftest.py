"""Two systems for the tests of this folder that do not need one of their own."""

from collections.abc import Iterator

import pytest

from tests.browser.watch import pytest_runtest_makereport as pytest_runtest_makereport
from tests.faults.certificates import Certificates
from tests.prepared import place
from tests.stack.system import Up, up
from tests.waiting import until

DEMO_TIMEOUT_S = 120


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """After its demo, with two training workers."""
    data_dir = tmp_path_factory.mktemp("system") / "var"
    place(data_dir)
    with up(data_dir, "--workers", "training=2,backtesting=1") as running:
        running.wait_until_ready()
        until(
            lambda: [
                line for line in running.lines if line.startswith("  Report ") or "demo: failed" in line
            ],
            "the demo is over",
            DEMO_TIMEOUT_S,
            lambda: running.output,
        )
        yield running


@pytest.fixture(scope="package")
def system_over_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Without a demo: its one worker serves https under a private CA, and all of its processes log JSON."""
    directory = tmp_path_factory.mktemp("tls")
    place(directory / "var")
    variables = {"KTRDR_LOG_FORMAT": "json", **Certificates(directory).settings}
    with up(directory / "var", "--no-demo", "--workers", "backtesting=1", **variables) as running:
        running.wait_until_ready()
        until(lambda: running.get("/workers")["results"], "a worker", 60, lambda: running.output)
        yield running
