"""Both ends of the protocol for tests and load: a backend for a real worker, a worker for a real backend.

Each serves on a free port of 127.0.0.1 while its `async with` lasts, speaks `protocol.py`, remembers what it was
told, and can be made to answer as no honest peer would. Neither needs a database or runs a job.
"""

from worker_agent.testing.backend import FakeBackend
from worker_agent.testing.served import Answer, hang, late, lose_answer, lose_request, status
from worker_agent.testing.worker import StubWorker

__all__ = ["Answer", "FakeBackend", "StubWorker", "hang", "late", "lose_answer", "lose_request", "status"]
