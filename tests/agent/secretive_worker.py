"""A worker whose job leaks its secrets in every way that it has."""

import base64
import json
import logging
import warnings
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel

from worker_agent.base import Job, WorkerAPIBase
from worker_agent.protocol import MAX_TEXT, InvalidInput


class Parameters(BaseModel):
    ends: str = ""
    """"error": raise with the secret in the message; "invalid": as invalid input; "large": return a large result."""


class SecretiveWorker(WorkerAPIBase):
    worker_type = "secretive"
    operation_type = "secretive"
    start_path = "/secretive/start"
    Parameters = Parameters
    secrets = ("API_KEY", "CERTIFICATE")

    def run(self, parameters: Parameters, job: Job) -> dict[str, Any]:
        key = job.secrets["API_KEY"]
        print("as text", key)
        print("in repr", repr({"key": key}), job.secrets)
        print("in JSON", json.dumps({"key": key}))
        print("in an address", f"https://example.com/?key={quote(key)}")
        print("in base64", base64.b64encode(key.encode()).decode())
        print("in lines\n" + job.secrets["CERTIFICATE"])
        print("x" * (MAX_TEXT - 20) + key)
        logging.getLogger("library").error("in a record %s", key)
        warnings.warn(f"in a warning {key}", stacklevel=1)
        job.progress(50, step=f"step {key}")
        job.metric(f"metric {key}", 1, 1.0)
        job.artifact(f"{key}.txt", b"nothing")
        match parameters.ends:
            case "error":
                raise RuntimeError(f"refused: {key}") from ValueError(key)
            case "invalid":
                raise InvalidInput(f"The key {key} is wrong.")
            case "large":
                return {"length": len(key), key: "x" * 1_000_000, "value": key}
        return {"length": len(key), "nested": [{key: [key]}]}
