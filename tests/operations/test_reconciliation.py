"""Every cell of the table by which a worker's word is held against ours."""

import pytest

from operations.models import Attempt, Operation
from operations.reconciliation import Action, ReportedState, Resolution, resolve
from operations.states import Status
from worker_agent.protocol import RunningOperation

OURS, THEIRS = RunningOperation(operation_id="ours", attempt=2), RunningOperation(operation_id="x", attempt=1)
OLD_ATTEMPT = RunningOperation(operation_id="ours", attempt=1)
LEAVE, ACCEPT, ASK, LOSE = Action.LEAVE, Action.ACCEPT, Action.ASK, Action.LOSE

# (our status, same incarnation) -> idle, has finished ours, runs ours, runs something else: (action, stop)
TABLE = {
    (Status.DISPATCHING, True): ((LEAVE, False), (ASK, False), (ACCEPT, False), (LEAVE, True)),
    (Status.RUNNING, True): ((ASK, False), (ASK, False), (LEAVE, False), (ASK, True)),
    (Status.CANCELLING, True): ((ASK, False), (ASK, False), (LEAVE, True), (ASK, True)),
    (Status.DISPATCHING, False): ((LOSE, False), (ASK, False), (ACCEPT, False), (LOSE, True)),
    (Status.RUNNING, False): ((LOSE, False), (ASK, False), (ACCEPT, False), (LOSE, True)),
    (Status.CANCELLING, False): ((LOSE, False), (ASK, False), (LEAVE, True), (LOSE, True)),
}
COLUMNS = {
    "idle": (None, frozenset()),
    "has finished ours": (None, frozenset({"ours"})),
    "runs ours": (OURS, frozenset()),
    "runs something else": (THEIRS, frozenset()),
}
CELLS = [
    pytest.param(status, same, column, Resolution(*wanted), id=f"{status}-{same}-{column}")
    for (status, same), row in TABLE.items()
    for column, wanted in zip(COLUMNS, row, strict=True)
]


def ours(status: Status) -> Attempt:
    operation = Operation(operation_id="ours", status=status, attempt=2)
    return Attempt(operation=operation, number=2, worker_id="w1", instance_id="now")


@pytest.mark.parametrize(("status", "same", "column", "wanted"), CELLS)
def test_a_cell_of_the_table(status: Status, same: bool, column: str, wanted: Resolution) -> None:
    """lessons W11, W13, W32"""
    runs, finished = COLUMNS[column]
    assert resolve(ours(status), ReportedState(runs, finished, "now" if same else "restarted")) == wanted


@pytest.mark.parametrize(("runs", "stop"), [(None, False), (THEIRS, True)])
def test_a_worker_of_which_we_want_nothing_is_told_to_stop_what_it_runs(
    runs: RunningOperation | None, stop: bool
) -> None:
    assert resolve(None, ReportedState(runs, frozenset(), "now")) == Resolution(LEAVE, stop)


def test_an_older_attempt_of_our_operation_is_something_else() -> None:
    """lesson W9: the fence is the operation and its attempt, not the operation alone"""
    assert resolve(ours(Status.RUNNING), ReportedState(OLD_ATTEMPT, frozenset(), "now")) == Resolution(
        ASK, stop=True
    )
