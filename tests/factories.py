"""Rows that tests start from. The real services create everything that follows from a rule (attempts, statuses, events)."""

from typing import Any
from uuid import uuid4

import factory
from factory.django import DjangoModelFactory

from operations.dispatching.admission import store_demands
from operations.models import Attempt, Operation, StoredFile
from registry.models import Capability, Worker
from worker_agent.version import version


class CapabilityFactory(DjangoModelFactory[Capability]):
    class Meta:
        model = Capability
        django_get_or_create = ("operation_type", "worker_type")

    operation_type = "echo"
    worker_type = "echo"
    start_path = factory.LazyAttribute(lambda row: f"/{row.operation_type}/start")
    parameters_schema = factory.LazyFunction(lambda: {"type": "object"})


class WorkerFactory(DjangoModelFactory[Worker]):
    """An idle worker that has announced one type of operation (its `worker_type`, unless said otherwise)."""

    class Meta:
        model = Worker
        skip_postgeneration_save = True

    worker_id = factory.Sequence(lambda number: f"worker-{number:04}")
    worker_type = "echo"
    endpoint_url = factory.Sequence(lambda number: f"http://127.0.0.1:{20_000 + number % 40_000}")
    instance_id = factory.LazyFunction(lambda: uuid4().hex)
    version = factory.LazyFunction(version)
    capabilities = factory.LazyFunction(lambda: {"cores": 4, "memory_gb": 8, "gpu": False})

    @factory.post_generation
    def announced(self: Worker, create: bool, extracted: Any, **kwargs: Any) -> None:
        types = extracted if extracted is not None else ("echo",)
        self.announced.set(
            [CapabilityFactory(operation_type=one, worker_type=self.worker_type) for one in types]
        )


class OperationFactory(DjangoModelFactory[Operation]):
    """PENDING, as `submission` leaves it."""

    class Meta:
        model = Operation
        skip_postgeneration_save = True

    operation_type = "echo"
    parameters = factory.LazyFunction(dict)
    blockers = 0

    @factory.post_generation
    def after(self: Operation, create: bool, extracted: Any, **kwargs: Any) -> None:
        store_demands([self.pk])
        if extracted:
            self.after.set(extracted)
            self.blockers = sum(other.status != "COMPLETED" for other in extracted)
            Operation.objects.filter(pk=self.pk).update(blockers=self.blockers)


class AttemptFactory(DjangoModelFactory[Attempt]):
    """A row as such; an attempt that is in step with its operation is made by `claims`."""

    class Meta:
        model = Attempt

    operation = factory.SubFactory(OperationFactory)
    number = 1
    worker_id = factory.Sequence(lambda number: f"worker-{number:04}")
    instance_id = factory.LazyFunction(lambda: uuid4().hex)
    endpoint_url = "http://127.0.0.1:5003"


class StoredFileFactory(DjangoModelFactory[StoredFile]):
    """The row only; `operations.artifacts.put` stores real bytes."""

    class Meta:
        model = StoredFile

    sha256 = factory.LazyFunction(lambda: uuid4().hex * 2)
    size = 100
