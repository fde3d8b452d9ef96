"""Download the files that an attempt needs before it starts: inputs, and the checkpoint to resume from."""

from pathlib import Path

from worker_agent.attempt.record import AttemptRecord
from worker_agent.attempt.retrying import fetch_with_retries
from worker_agent.attempt.services import Services
from worker_agent.backend.errors import Corrupt, NoSuchFile
from worker_agent.job.job import FilesOnDisk, Resume
from worker_agent.protocol import Progress, StartRequest


async def download_inputs(
    request: StartRequest, record: AttemptRecord, services: Services
) -> tuple[dict[str, Path], Resume | None]:
    """Return the inputs (name -> file) and the checkpoint.

    Raises NoSuchFile and Corrupt at once, OSError, and BackendError after several tries.
    """
    checkpoint = request.resume_from
    if not request.inputs and checkpoint is None:
        return {}, None
    record.progress = Progress(current_step="fetching inputs")
    checkpoint_files = checkpoint.files if checkpoint else ()
    refs = (*request.inputs, *checkpoint_files)
    paths = await fetch_with_retries(
        lambda: services.cache.fetch(refs, services.client, record.secret),
        "inputs",
        (NoSuchFile, Corrupt),
        record,
        services,
    )
    paths = record.files.share(paths)
    inputs = {ref.name: paths[ref.sha256] for ref in request.inputs}
    if checkpoint is None:
        return inputs, None
    files = FilesOnDisk({ref.name: paths[ref.sha256] for ref in checkpoint.files})
    return inputs, Resume(checkpoint.attempt, checkpoint.step, files)
