"""Download the files that an attempt needs before it starts: inputs, and the checkpoint to resume from."""

import asyncio
from pathlib import Path

from worker_agent.attempt.record import AttemptRecord
from worker_agent.attempt.services import Services
from worker_agent.backend.errors import BackendError, Corrupt, NoSuchFile, Unauthorized
from worker_agent.job.job import FilesOnDisk, Resume
from worker_agent.protocol import ArtifactRef, LogLevel, Progress, StartRequest

MAX_TRIES = 3
PAUSE_S = 1.0


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
    paths = await _fetch_with_retries((*request.inputs, *checkpoint_files), record, services)
    paths = record.files.share(paths)
    inputs = {ref.name: paths[ref.sha256] for ref in request.inputs}
    if checkpoint is None:
        return inputs, None
    files = FilesOnDisk({ref.name: paths[ref.sha256] for ref in checkpoint.files})
    return inputs, Resume(checkpoint.attempt, checkpoint.step, files)


async def _fetch_with_retries(
    refs: tuple[ArtifactRef, ...], record: AttemptRecord, services: Services
) -> dict[str, Path]:
    """Return SHA-256 -> file."""
    tries = 0
    while True:
        try:
            return await services.cache.fetch(refs, services.client, record.secret)
        except (NoSuchFile, Corrupt):
            raise
        except BackendError as error:
            tries += 1
            if tries == MAX_TRIES:
                raise
            if isinstance(error, Unauthorized):
                await services.registrar.register_again()
            record.add_log(f"Could not fetch the inputs; trying again: {error}", LogLevel.WARNING)
            await asyncio.sleep(PAUSE_S)
