"""Upload a job's checkpoint to the backend."""

import asyncio
from pathlib import Path

from pydantic import ValidationError

from worker_agent.attempt.record import AttemptRecord
from worker_agent.attempt.services import Services
from worker_agent.backend.errors import BackendError, Unauthorized
from worker_agent.backend.file_cache import sha256_of
from worker_agent.protocol import ArtifactRef, CheckpointReport, LogLevel
from worker_agent.validation_messages import first_problem

PAUSE_S = 0.5


async def upload_checkpoint(
    record: AttemptRecord, services: Services, step: int, files: dict[str, Path]
) -> None:
    """Try twice; a failure is only logged, since the next checkpoint replaces this one and the job does not wait.

    `files` maps names to paths; the files are removed afterwards.
    """
    try:
        message = CheckpointReport(
            attempt=record.attempt,
            attempt_secret=record.secret,
            instance_id=services.instance_id,
            step=step,
            files=tuple([await _artifact_ref(name, path) for name, path in files.items()]),
        )
        for last_try in (False, True):
            try:
                for ref in message.files:
                    await services.client.put_file(ref.sha256, files[ref.name], record.secret)
                await services.client.checkpoint(record.operation_id, message)
                break
            except Unauthorized:
                await services.registrar.register_again()
            except BackendError:
                if last_try:
                    raise
                await asyncio.sleep(PAUSE_S)
    except (BackendError, OSError, ValidationError) as error:
        reason = first_problem(error) if isinstance(error, ValidationError) else error
        record.add_log(f"The checkpoint at step {step} was not saved: {reason}", LogLevel.WARNING)
    finally:
        discard(files)


def discard(files: dict[str, Path]) -> None:
    """Remove the files of a checkpoint that is stored, or that a newer one replaces."""
    for path in files.values():
        path.unlink(missing_ok=True)


async def _artifact_ref(name: str, path: Path) -> ArtifactRef:
    return ArtifactRef(name=name, sha256=await asyncio.to_thread(sha256_of, path), size=path.stat().st_size)
