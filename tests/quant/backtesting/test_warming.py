"""Jobs forked from a warm server compute the same bits as in a new process, and no thread lives when they are forked."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.fork_servers import Server, running_server
from tests.agent.forked_work import loaded_modules
from tests.quant.backtesting.conftest import TRAINED_UNTIL, BacktestJob
from tests.quant.learning.conftest import STRATEGY
from tests.quant.studies.conftest import StudyJob
from tests.quant.studies.test_batches import batch
from workers.backtest import backtest, study_batch
from workers.backtesting.backtest_inputs import MODEL_WEIGHTS
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.backtesting.backtest_pipeline import run_backtest
from workers.fork_server import NOT_USED
from workers.learning.training_parameters import TrainingParameters
from workers.provenance import file_sha256
from workers.studies.messages import BatchParameters
from workers.studies.run import run_batch
from workers.training import train

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere jobs are spawned")
TRAINING = {"strategy_yaml": STRATEGY, "end_date": TRAINED_UNTIL}
BACKTEST = {"symbol": "AAA", "start_date": "2017-07-03"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("warm")
    with running_server("workers.fork_server", ("training", "backtesting"), directory) as running:
        running.until_logged("fork server is warm")
        yield running


def test_no_thread_lives_where_jobs_are_forked(server: Server) -> None:
    assert "fork server is warm: threads=1" in server.log
    assert "ERROR" not in server.log


def test_trainings_and_backtests_in_forks_of_the_warm_server_give_the_bits_of_a_new_process(
    server: Server, trained: dict[str, Path]
) -> None:
    for _ in range(2):
        jobs = [
            server.launch(train, TRAINING, TrainingParameters, trained),
            server.launch(backtest, BACKTEST, BacktestParameters, trained),
        ]
        training, tested = (job.outcome() for job in jobs)
        assert [job.exit().code for job in jobs] == [0, 0]
        assert training["result"]["model"]["sha256"] == file_sha256(trained[MODEL_WEIGHTS])
        expected = run_backtest(BacktestParameters.model_validate(BACKTEST), BacktestJob(trained))
        assert comparable(tested["result"]) == comparable(expected)


def test_jobs_inherit_nothing_of_what_none_of_them_uses(server: Server) -> None:
    job = server.launch(loaded_modules)
    names = job.outcome()["result"]["names"]
    assert job.exit().code == 0
    assert "torch" in names
    assert not set(NOT_USED).intersection(names)


def test_the_threads_of_a_batch_give_the_same_bits_in_a_fork(
    server: Server, trained: dict[str, Path]
) -> None:
    parameters = batch(range(30))
    job = server.launch(study_batch, parameters.model_dump(mode="json"), BatchParameters, trained)
    outcome = job.outcome()
    assert job.exit().code == 0
    expected = run_batch(parameters, StudyJob(trained))
    for name in ("value", "scores", "kept"):
        assert outcome["result"][name] == expected[name]


def comparable(result: dict[str, Any]) -> dict[str, Any]:
    """Return the result as JSON has it, without the seconds of its audit."""
    audit = {name: value for name, value in result["audit"]["look_ahead"].items() if name != "seconds"}
    audit["features"] = {name: value for name, value in audit["features"].items() if name != "seconds"}
    plain: dict[str, Any] = json.loads(
        json.dumps({**result, "audit": {**result["audit"], "look_ahead": audit}})
    )
    return plain
