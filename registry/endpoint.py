"""The address of a worker, and which incarnation of it must answer there."""

from dataclasses import dataclass

from registry import protocol_versions
from registry.models import Worker


@dataclass(frozen=True, slots=True)
class Endpoint:
    worker_id: str
    instance_id: str
    url: str
    must_prove: bool
    """Whether responses without a proof are refused; False only for workers of protocol 1, which cannot prove any."""

    @classmethod
    def of(cls, worker: Worker) -> "Endpoint":
        must_prove = worker.protocol_version >= protocol_versions.PROVING
        return cls(worker.worker_id, worker.instance_id, worker.endpoint_url, must_prove)
