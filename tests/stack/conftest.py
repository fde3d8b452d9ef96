"""One system, with its demo done, for every test of this folder that does not need one of its own."""

from collections.abc import Iterator

import pytest

from tests.browser.watch import pytest_runtest_makereport as pytest_runtest_makereport
from tests.stack.system import Up, until, up

DEMO_TIMEOUT_S = 120


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """After its demo, with two training workers."""
    data_dir = tmp_path_factory.mktemp("system") / "var"
    with up(data_dir, "--workers", "training=2,backtesting=1") as running:
        running.wait_until_ready()
        until(
            lambda: [line for line in running.lines if line.startswith(("demo: all of it:", "CommandError"))],
            "the demo is over",
            DEMO_TIMEOUT_S,
            lambda: running.output,
        )
        yield running
