"""The tests of notebook_worker.py, with notebooks of three cells."""

import json
from typing import TYPE_CHECKING

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from notebook_worker import NotebookWorker

from worker_agent.protocol import Outcome

if TYPE_CHECKING:
    from worker_agent.testing.running import Running


KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def notebook(*cells: str) -> bytes:
    parameters = new_code_cell("symbol = 'none'", metadata={"tags": ["parameters"]})
    content: str = nbformat.writes(
        new_notebook(metadata=KERNEL, cells=[parameters, *(new_code_cell(cell) for cell in cells)])
    )
    return content.encode()


def sources(executed: bytes) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(executed)["cells"]]


def test_a_notebook_runs_with_its_parameters_and_is_an_artifact(running: "Running") -> None:
    worker = running(NotebookWorker)
    parameters = {"notebook": "id of an upload", "values": {"symbol": "AAPL"}}
    run = worker.run(parameters, inputs={"notebook": notebook("print('bars of', symbol)")})
    assert run.result == {"finished": True}
    assert any("bars of AAPL" in line for line in run.logs)
    assert any('symbol = "AAPL"' in source for source in sources(run.artifacts["executed.ipynb"]))


def test_a_failed_cell_is_named_and_the_notebook_is_kept(running: "Running") -> None:
    run = running(NotebookWorker).run(
        {"notebook": "id"}, inputs={"notebook": notebook("1 / 0", "print('never')")}
    )
    assert run.error.startswith("Cell 2 of the notebook failed: ZeroDivisionError: division by zero")
    assert b"ZeroDivisionError" in run.artifacts["executed.ipynb"]


def test_a_cancellation_ends_the_kernel_within_a_cell(running: "Running") -> None:
    cells = notebook("print('first cell')", "import time; print('waiting', flush=True); time.sleep(1000)")
    operation = running(NotebookWorker).start({"notebook": "id"}, inputs={"notebook": cells})
    operation.wait_for_log("waiting")
    operation.cancel()
    run = operation.wait()
    assert run.outcome is Outcome.CANCELLED
    assert b"first cell" in run.artifacts["executed.ipynb"]
