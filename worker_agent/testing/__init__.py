"""Both ends of the protocol for tests and load: a fake backend for a real worker, a stub worker for a real backend.

Each serves on a free port of 127.0.0.1 inside its `async with`, implements `worker_agent.protocol`, records the
requests it gets, and can be made to misbehave. Neither needs a database or runs a job. `running.Running` runs workers
for tests without asyncio; the fixture of pytest `running` is one.
"""

from worker_agent.testing.fake_backend import FakeBackend
from worker_agent.testing.fake_server import Answer, hang, late, lose_answer, lose_request, status
from worker_agent.testing.stub_worker import StubWorker

__all__ = ["Answer", "FakeBackend", "StubWorker", "hang", "late", "lose_answer", "lose_request", "status"]
