"""The fixture `running`, which pytest finds where the distribution is installed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from worker_agent.testing.running import Running


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Running]":
    """Start workers, each in its own process; `running(MyWorker).run(parameters)` returns the end of an operation."""
    from worker_agent.testing.running import Running

    with Running(tmp_path_factory.mktemp("workers")) as workers:
        yield workers
