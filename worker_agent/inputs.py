"""What an attempt needs before it can begin: its input files, and the checkpoint from which it goes on."""

import asyncio
from pathlib import Path

from worker_agent.client import BackendClient, BackendError, Corrupt, NoSuchFile, Unauthorized
from worker_agent.files import FileCache
from worker_agent.job import FilesOnDisk, Resume
from worker_agent.protocol import ArtifactRef, LogLevel, Progress, StartRequest
from worker_agent.registration import Registrar
from worker_agent.running import RunningOperation

TRIES = 3
PAUSE_S = 1.0


async def fetch_inputs(
    request: StartRequest,
    operation: RunningOperation,
    cache: FileCache,
    client: BackendClient,
    registrar: Registrar,
) -> tuple[dict[str, Path], Resume | None]:
    """(name -> file, checkpoint). Raises NoSuchFile, Corrupt at once, OSError and BackendError after some tries."""
    checkpoint = request.resume_from
    if not request.inputs and checkpoint is None:
        return {}, None
    operation.progress = Progress(current_step="fetching inputs")
    kept = checkpoint.files if checkpoint else ()
    paths = await _fetch_patiently((*request.inputs, *kept), operation, cache, client, registrar)
    inputs = {ref.name: paths[ref.sha256] for ref in request.inputs}
    if checkpoint is None:
        return inputs, None
    files = FilesOnDisk({ref.name: paths[ref.sha256] for ref in checkpoint.files})
    return inputs, Resume(checkpoint.attempt, checkpoint.step, files)


async def _fetch_patiently(
    refs: tuple[ArtifactRef, ...],
    operation: RunningOperation,
    cache: FileCache,
    client: BackendClient,
    registrar: Registrar,
) -> dict[str, Path]:
    """SHA-256 -> file."""
    tries = 0
    while True:
        try:
            return await cache.fetch(refs, client)
        except (NoSuchFile, Corrupt):
            raise
        except BackendError as error:
            tries += 1
            if tries == TRIES:
                raise
            if isinstance(error, Unauthorized):
                await registrar.again()
            operation.add_log(f"inputs: {error}; trying again", LogLevel.WARNING)
            await asyncio.sleep(PAUSE_S)
