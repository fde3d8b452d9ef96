"""A job's checkpoint on its way to the backend."""

import asyncio
from pathlib import Path

from pydantic import ValidationError

from worker_agent.client import BackendClient, BackendError, Unauthorized
from worker_agent.files import sha256_of
from worker_agent.protocol import ArtifactRef, CheckpointReport, LogLevel
from worker_agent.registration import Registrar
from worker_agent.running import RunningOperation

PAUSE_S = 0.5


async def send_checkpoint(
    operation: RunningOperation,
    instance_id: str,
    step: int,
    files: dict[str, str],
    client: BackendClient,
    registrar: Registrar,
) -> None:
    """Best effort, twice: the next checkpoint replaces it, and a job does not wait for the backend.

    `files` is name -> path; the files are removed.
    """
    try:
        message = CheckpointReport(
            attempt=operation.attempt,
            instance_id=instance_id,
            step=step,
            files=tuple([await _named(name, Path(path)) for name, path in files.items()]),
        )
        for last in (False, True):
            try:
                for ref in message.files:
                    await client.put_file(ref.sha256, Path(files[ref.name]))
                await client.checkpoint(operation.operation_id, message)
                break
            except Unauthorized:
                await registrar.again()
            except BackendError:
                if last:
                    raise
                await asyncio.sleep(PAUSE_S)
    except (BackendError, OSError, ValidationError) as error:
        operation.add_log(f"The checkpoint at step {step} was not kept: {error}", LogLevel.WARNING)
    finally:
        for path in files.values():
            Path(path).unlink(missing_ok=True)


async def _named(name: str, path: Path) -> ArtifactRef:
    return ArtifactRef(name=name, sha256=await asyncio.to_thread(sha256_of, path), size=path.stat().st_size)
