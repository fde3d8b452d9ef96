"""A worker of your own: it repeats a text, says how far it is, and goes on where it was when it is moved.

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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # not needed where the wheel is installed

from worker_agent.base import Job, WorkerAPIBase
from worker_agent.protocol import InvalidInput


class EchoParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=1000)
    times: int = Field(default=5, ge=1, le=1000)
    pause_s: float = Field(default=0.2, ge=0, le=10)


class EchoWorker(WorkerAPIBase):
    """Echoes."""

    worker_type = "echo"
    operation_type = "echo"
    start_path = "/echo/start"
    Parameters = EchoParameters
    default_port = 5010

    def run(self, parameters: EchoParameters, job: Job) -> dict[str, Any]:
        """In a process of its own. Raise InvalidInput for what the user can mend; whatever else is raised is a fault."""
        if parameters.text.isspace():
            raise InvalidInput("There is nothing to echo.")
        said = json.loads(job.resume.files["state.json"])["said"] if job.resume else 0
        while said < parameters.times and not job.cancelled:
            time.sleep(parameters.pause_s)
            said += 1
            job.log(parameters.text)
            job.metric("said", step=said, value=float(said))
            job.progress(
                100.0 * said / parameters.times, step="echoing", completed=said, total=parameters.times
            )
        if job.cancelled:
            job.checkpoint(step=said, files={"state.json": json.dumps({"said": said}).encode()})
        job.artifact("echo.txt", "\n".join([parameters.text] * said).encode())
        return {"said": said}


if __name__ == "__main__":
    EchoWorker.main()
