"""An example worker: it repeats a text, reports its progress, and resumes where an earlier attempt stopped.

    KTRDR_API_URL=http://127.0.0.1:8000 KTRDR_WORKER_TOKEN=$(cat var/worker-token) python examples/echo_worker.py

Then: curl -X POST http://127.0.0.1:8000/operations -H "Authorization: Bearer $(cat var/api-token)" \
           -H 'Content-Type: application/json' -d '{"operation_type": "echo", "parameters": {"text": "hello"}}'
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # not needed if the wheel is installed

from worker_agent.base import Job, WorkerAPIBase
from worker_agent.protocol import InvalidInput


class EchoParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=1000)
    times: int = Field(default=5, ge=1, le=1000)
    pause_s: float = Field(default=0.2, ge=0, le=10)


class EchoWorker(WorkerAPIBase):
    """Repeats a text."""

    worker_type = "echo"
    operation_type = "echo"
    start_path = "/echo/start"
    Parameters = EchoParameters
    default_port = 5010

    def run(self, parameters: EchoParameters, job: Job) -> dict[str, Any]:
        """Runs in a process of its own. Raise InvalidInput for errors of the user; other exceptions are failures."""
        if parameters.text.isspace():
            raise InvalidInput("The text is blank.")
        echoes = json.loads(job.resume.files["state.json"])["echoes"] if job.resume else 0
        while echoes < parameters.times and not job.cancelled:
            time.sleep(parameters.pause_s)
            echoes += 1
            job.log(parameters.text)
            job.metric("echoes", step=echoes, value=float(echoes))
            job.progress(
                100.0 * echoes / parameters.times, step="echoing", completed=echoes, total=parameters.times
            )
        if job.cancelled:
            job.checkpoint(step=echoes, files={"state.json": json.dumps({"echoes": echoes}).encode()})
        job.artifact("echo.txt", "\n".join([parameters.text] * echoes).encode())
        return {"echoes": echoes}


if __name__ == "__main__":
    EchoWorker.main()
