"""The wire protocol between the backend and its workers, a module for each subject.

Both sides import the messages from here, and no other package defines one. Messages are frozen values. A receiver
ignores unknown fields (a newer peer may send them) and rejects a message that lacks a required field or contains a value
that cannot be stored (`worker_agent.values`); both raise `pydantic.ValidationError`.
"""

from worker_agent.protocol.errors import MAX_TRACEBACK, ErrorClass, InvalidInput, OperationError
from worker_agent.protocol.files import ArtifactRef, CheckpointRef, CheckpointReport
from worker_agent.protocol.message import (
    MAX_TEXT,
    Attempt,
    Identifier,
    Message,
    Name,
    Path,
    Secret,
    Sequence,
    Sha256,
    Version,
)
from worker_agent.protocol.registration import (
    MAX_ATTEMPTS,
    MAX_CAPABILITIES,
    MAX_CAPABILITIES_BYTES,
    MAX_OPERATION_TYPES,
    MAX_RUNNING,
    MAX_TIMEOUT_S,
    PROTOCOL_VERSION,
    Deregistration,
    OperationType,
    Registration,
    RegistrationAnswer,
    RunningOperation,
)
from worker_agent.protocol.reports import MAX_RESULT_BYTES, FinishedOperation, Outcome, Report
from worker_agent.protocol.secrets import MAX_SECRETS, SecretName, SecretsAnswer, SecretsRequest
from worker_agent.protocol.start import BusyAnswer, StartAnswer, StartRequest
from worker_agent.protocol.state import MAX_SILENT_S, AgentOperation, AgentState, Health
from worker_agent.protocol.telemetry import (
    MAX_LOG_LINES,
    MAX_METRIC_NAME,
    MAX_METRIC_POINTS,
    MAX_STEP_TEXT,
    LogLevel,
    LogLine,
    LogsPage,
    MetricPoint,
    MetricsPage,
    Progress,
)

__all__ = [
    "MAX_ATTEMPTS",
    "MAX_CAPABILITIES",
    "MAX_CAPABILITIES_BYTES",
    "MAX_LOG_LINES",
    "MAX_METRIC_NAME",
    "MAX_METRIC_POINTS",
    "MAX_OPERATION_TYPES",
    "MAX_RESULT_BYTES",
    "MAX_RUNNING",
    "MAX_SECRETS",
    "MAX_SILENT_S",
    "MAX_STEP_TEXT",
    "MAX_TEXT",
    "MAX_TIMEOUT_S",
    "MAX_TRACEBACK",
    "PROTOCOL_VERSION",
    "AgentOperation",
    "AgentState",
    "ArtifactRef",
    "Attempt",
    "BusyAnswer",
    "CheckpointRef",
    "CheckpointReport",
    "Deregistration",
    "ErrorClass",
    "FinishedOperation",
    "Health",
    "Identifier",
    "InvalidInput",
    "LogLevel",
    "LogLine",
    "LogsPage",
    "Message",
    "MetricPoint",
    "MetricsPage",
    "Name",
    "OperationError",
    "OperationType",
    "Outcome",
    "Path",
    "Progress",
    "Registration",
    "RegistrationAnswer",
    "Report",
    "RunningOperation",
    "Secret",
    "SecretName",
    "SecretsAnswer",
    "SecretsRequest",
    "Sequence",
    "Sha256",
    "StartAnswer",
    "StartRequest",
    "Version",
]
