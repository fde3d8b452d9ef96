"""A notebook with parameters, run by papermill: the executed notebook is the artifact executed.ipynb.

Needs papermill and ipykernel. The cell tagged `parameters` has the defaults; the next one gets the values. A notebook is
a program: whoever may submit operations runs it as the user of this worker.
"""

import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from worker_agent.base import Job, WorkerAPIBase
from worker_agent.inputs import UploadedFile
from worker_agent.protocol import InvalidInput

POLL_S = 0.2
EXECUTED = Path("executed.ipynb")  # in the job's own directory


class NotebookParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    notebook: Annotated[str, UploadedFile(".ipynb")] = Field(title="Notebook")
    values: dict[str, str | int | float | bool] = Field(default={}, title="Values of its parameters")
    kernel: str = Field(default="python3", max_length=100)


class NotebookWorker(WorkerAPIBase):
    """Runs a notebook."""

    worker_type = "notebook"
    operation_type = "notebook"
    start_path = "/notebook/start"
    Parameters = NotebookParameters
    timeout_s = 3600
    default_port = 5015

    def run(self, parameters: NotebookParameters, job: Job) -> dict[str, Any]:
        from papermill.exceptions import PapermillExecutionError

        execution = start(parameters, job.inputs["notebook"])
        try:
            while not job.cancelled:
                try:
                    execution.result(POLL_S)
                    break
                except NotYet:
                    continue
        except PapermillExecutionError as error:
            where = f"Cell {error.exec_count} of the notebook failed"
            raise InvalidInput(f"{where}: {error.ename}: {error.evalue}") from error
        finally:
            if EXECUTED.exists():  # papermill saves it after every cell
                job.artifact(EXECUTED.name, EXECUTED)
        return {"finished": execution.done()}


def start(parameters: NotebookParameters, notebook: Path) -> "Future[None]":
    """Execute in a thread, so that the job can be cancelled between two cells and within one.

    The agent ends the kernel with the job's other processes.
    """
    import papermill

    execution: Future[None] = Future()

    def execute() -> None:
        try:
            papermill.execute_notebook(
                notebook,
                EXECUTED,
                parameters=parameters.values,
                kernel_name=parameters.kernel,
                progress_bar=False,
                log_output=True,  # the output of cells becomes lines of the log
            )
            execution.set_result(None)
        except BaseException as error:
            execution.set_exception(error)

    threading.Thread(target=execute, name="notebook", daemon=True).start()
    return execution


if __name__ == "__main__":
    NotebookWorker.main()
