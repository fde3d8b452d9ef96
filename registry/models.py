"""Workers and the operation types that they have announced."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Now

from registry import protocol_versions


class WorkerStatus(models.TextChoices):
    AVAILABLE = "AVAILABLE"
    BUSY = "BUSY"
    TEMPORARILY_UNAVAILABLE = "TEMPORARILY_UNAVAILABLE"


class Capability(models.Model):
    """An operation type that a worker type can run. Known from the first announcement on, and never removed."""

    operation_type = models.CharField(max_length=128)
    worker_type = models.CharField(max_length=128)
    start_path = models.CharField(max_length=200)
    parameters_schema = models.JSONField()
    timeout_s = models.PositiveIntegerField(
        null=True, blank=True, help_text="time limit of an attempt that its workers declare"
    )
    max_attempts = models.PositiveIntegerField(
        null=True, blank=True, help_text="times that the worker may be lost, as its workers declare"
    )
    max_running = models.PositiveIntegerField(
        null=True, blank=True, help_text="operations at the same time, as its workers declare"
    )
    result_schema = models.JSONField(null=True, blank=True, help_text="JSON Schema of the result")
    announced_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "capabilities"
        ordering = ["operation_type", "worker_type"]
        constraints = [
            models.UniqueConstraint(
                fields=["operation_type", "worker_type"], name="capability_once_per_worker_type"
            )
        ]

    def __str__(self) -> str:
        return f"{self.operation_type} by {self.worker_type} workers"


class EnrolmentToken(models.Model):
    """A token with which the workers of a pool enrol, in addition to KTRDR_WORKER_TOKEN. Only its hash is stored."""

    name = models.CharField(max_length=100, help_text="name of the pool or the machine")
    worker_types = ArrayField(
        models.CharField(max_length=128),
        default=list,
        blank=True,
        help_text="worker types that it may enrol; empty for any",
    )
    operation_types = ArrayField(
        models.CharField(max_length=128),
        default=list,
        db_default=[],
        blank=True,
        help_text="operation types of other pools that its workers may announce, beside those of its worker types",
    )
    sha256 = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, editable=False
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name


class OperationTypeOwner(models.Model):
    """The pool that announced an operation type first. Others need the consent of staff."""

    operation_type = models.CharField(primary_key=True, max_length=128)
    pool = models.CharField(
        max_length=100, blank=True, help_text="name of the enrolment token; empty for KTRDR_WORKER_TOKEN"
    )
    owned_since = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["operation_type"]

    def __str__(self) -> str:
        return f"{self.operation_type} of {self.pool or 'the default pool'}"


class Worker(models.Model):
    """One agent, under the name it keeps across restarts; `instance_id` identifies its current process."""

    worker_id = models.CharField(primary_key=True, max_length=128)
    worker_type = models.CharField(max_length=128)
    endpoint_url = models.CharField(max_length=500)
    instance_id = models.CharField(max_length=128)
    version = models.CharField(max_length=100, blank=True)
    protocol_version = models.PositiveIntegerField(default=1)
    capabilities = models.JSONField(
        default=dict, blank=True, help_text="cores, memory_gb, gpu, gpu_memory_gb, ..."
    )
    resources = models.JSONField(default=dict, blank=True, help_text="load at the last health response")
    load_history = models.JSONField(
        default=list,
        db_default=Value([], models.JSONField()),
        blank=True,
        editable=False,
        help_text="[CPU, memory, GPU] in percent of the last health checks, the newest last",
    )
    enrolled_with = models.ForeignKey(
        EnrolmentToken,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="workers",
        db_index=False,
    )
    announced = models.ManyToManyField(Capability, related_name="workers", blank=True)

    status = models.CharField(max_length=32, choices=WorkerStatus.choices, default=WorkerStatus.AVAILABLE)
    cordoned = models.BooleanField(default=False, help_text="set by a person: the worker gets no new work")
    cordon_reason = models.CharField(max_length=500, blank=True)
    probe_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="end of an automatic cordon: it then gets one operation; empty for a person's cordon",
    )
    sickness = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="automatic cordons since it last completed an operation"
    )
    trusted_since = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="earlier failures no longer count against it"
    )
    draining = models.BooleanField(default=False, help_text="cordoned, and shuts down when idle")

    registered_at = models.DateTimeField(db_default=Now())
    last_health_check = models.DateTimeField(null=True, blank=True)
    last_healthy_at = models.DateTimeField(null=True, blank=True)
    health_check_failures = models.PositiveIntegerField(default=0)
    health_problem = models.CharField(
        max_length=500, blank=True, help_text="problem found by the last health check"
    )
    unavailable_since = models.DateTimeField(null=True, blank=True)
    last_selected_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["worker_id"]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=WorkerStatus.values), name="worker_status_known"),
            models.CheckConstraint(
                condition=Q(status=WorkerStatus.TEMPORARILY_UNAVAILABLE, unavailable_since__isnull=False)
                | (~Q(status=WorkerStatus.TEMPORARILY_UNAVAILABLE) & Q(unavailable_since__isnull=True)),
                name="worker_unavailable_since_when",
            ),
        ]
        indexes = [
            models.Index(
                F("last_selected_at").asc(nulls_first=True),
                "worker_id",
                name="worker_selectable",
                condition=Q(status=WorkerStatus.AVAILABLE, cordoned=False),
            )
        ]

    def __str__(self) -> str:
        return self.worker_id

    @property
    def protocol_problem(self) -> str:
        """Explains why a responding worker gets no new work; empty if its protocol version is compatible."""
        return protocol_versions.incompatibility(self.protocol_version)


class WorkerSecret(models.Model):
    """A value for jobs of certain worker types: a password, a key of a data provider. Only its ciphertext is stored."""

    name = models.CharField(primary_key=True, max_length=100)
    ciphertext = models.TextField(
        editable=False, help_text="encrypted with a key derived from the secret key"
    )
    worker_types = ArrayField(
        models.CharField(max_length=128),
        default=list,
        blank=True,
        help_text="worker types whose jobs may read it; empty for none",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    changed_at = models.DateTimeField(db_default=Now(), editable=False)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, editable=False
    )
    last_read_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="by a job")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Lease(models.Model):
    """A duty that one process at a time has, for as long as it renews the row (`registry.leases`)."""

    name = models.CharField(primary_key=True, max_length=64)
    holder = models.CharField(max_length=128)
    renewed_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.name} held by {self.holder}"


class Sweep(models.Model):
    """One round of the health sweep or of the cleanup. Recent rows show that the schedules run."""

    class Kind(models.TextChoices):
        HEALTH = "health"
        CLEANUP = "cleanup"

    kind = models.CharField(max_length=16, choices=Kind.choices)
    started_at = models.DateTimeField(db_default=Now())
    completed_at = models.DateTimeField(null=True, blank=True)
    summary = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=["health", "cleanup"]), name="sweep_kind_known")
        ]
        indexes = [models.Index(fields=["kind", "-completed_at"], name="sweep_newest")]

    def __str__(self) -> str:
        return f"{self.kind} sweep of {self.started_at:%Y-%m-%d %H:%M:%S}"
