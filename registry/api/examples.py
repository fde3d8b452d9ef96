"""Example registration and response for the API document, built from the message classes so that they stay valid."""

from worker_agent.protocol import PROTOCOL_VERSION, OperationType, Registration, RegistrationAnswer

REGISTRATION = Registration(
    worker_id="gpu-01",
    worker_type="training",
    endpoint_url="http://192.168.1.20:5002",
    capabilities={"cores": 16, "memory_gb": 64, "gpu": True},
    instance_id="5f0c2e7a91b34d6f",
    version="0.1.0",
    operation_types=(
        OperationType(operation_type="training", start_path="/training/start", parameters_schema={"type": "object"}),
    ),
).model_dump(mode="json")  # fmt: skip
REGISTERED = RegistrationAnswer(
    worker_id="gpu-01",
    status="AVAILABLE",
    protocol_version=PROTOCOL_VERSION,
    worker_token="what the worker calls the backend with",  # noqa: S106  (an example)
    backend_token="what the worker knows the backend by",  # noqa: S106
    health_interval_s=10,
    cancel_grace_s=10,
).model_dump(mode="json")
