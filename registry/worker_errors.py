"""The errors of calls to workers."""


class WorkerError(Exception):
    """The call to the worker failed."""


class WorkerRefused(WorkerError):
    """The connection was refused: the worker certainly did not receive the request."""


class WorkerUncertain(WorkerError):
    """Timeout or broken connection: the worker may or may not have received the request."""


class WorkerBusy(WorkerError):
    """The worker is running another operation."""

    def __init__(self, current_operation: str | None) -> None:
        super().__init__(f"busy with {current_operation}" if current_operation else "busy")
        self.current_operation = current_operation


class WorkerConflict(WorkerError):
    """The worker has seen a newer attempt of this operation."""


class WorkerUnknownOperation(WorkerError):
    """The worker does not know the operation."""


class WorkerInvalid(WorkerError):
    """The worker rejected the parameters."""


class WorkerUnauthorized(WorkerError):
    """The worker does not accept this backend's token (any more)."""


class WorkerMisbehaved(WorkerError):
    """The worker's response violates the protocol."""


class WorkerUnproven(WorkerMisbehaved):
    """Something answers at the worker's address, but does not prove that it is the worker."""
