import secrets
import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Kind(models.TextChoices):
    """Kinds of notification; the value is the `type` in a webhook's body."""

    COMPLETED = "operation.completed", "An operation completed"
    FAILED = "operation.failed", "An operation failed"
    WORKER_LOST = "worker.lost", "A worker was lost"
    WORKER_CORDONED = "worker.cordoned", "A worker was cordoned automatically"
    TEST = "test", "A test"


ON_CHOICE = [choice for choice in Kind.choices if choice[0] != Kind.TEST]


def new_salt() -> str:
    return secrets.token_hex(16)


class Subscription(models.Model):
    """A subscriber, the kinds of notification, and the channel."""

    class Channel(models.TextChoices):
        WEBHOOK = "webhook", "Webhook"
        EMAIL = "email", "E-mail"

    name = models.CharField(max_length=100)
    channel = models.CharField(max_length=16, choices=Channel.choices)
    target = models.CharField(max_length=500, help_text="an http(s) URL or an e-mail address")
    kinds = models.JSONField(default=list)
    operation_type = models.CharField(
        max_length=128, blank=True, help_text="only operations of this type; empty for all types"
    )
    active = models.BooleanField(
        default=True, help_text="while inactive, pending messages are kept and new events are ignored"
    )
    salt = models.CharField(
        max_length=32,
        default=new_salt,
        editable=False,
        help_text="the webhook's secret is derived from this and the secret key",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, editable=False, on_delete=models.SET_NULL
    )

    class Meta:
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def kind_labels(self) -> list[str]:
        return [str(Kind(kind).label) for kind in self.kinds]


class Delivery(models.Model):
    """One message to one subscriber, from its event until it arrives or is given up. Every try sends its id."""

    class State(models.TextChoices):
        PENDING = "pending", "Due"
        DELIVERED = "delivered", "Delivered"
        FAILED = "failed", "Given up"

    delivery_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="deliveries")
    kind = models.CharField(max_length=32, choices=Kind.choices)
    key = models.CharField(max_length=300, help_text="identifies the event; stored once per subscription")
    payload = models.JSONField()
    state = models.CharField(max_length=16, choices=State.choices, default=State.PENDING)
    created_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(
        db_default=Now(), help_text="time of the next try, or end of the current lease"
    )
    ended_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(
        default=0, help_text="number of tries so far; also the fence of the newest try"
    )
    log = models.JSONField(default=list, help_text="one entry per try: time, status, problem, seconds")

    class Meta:
        ordering = ["-created_at", "-delivery_id"]
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["subscription", "key"], name="delivery_once_per_subscription"),
            models.CheckConstraint(
                condition=Q(state="pending", ended_at__isnull=True)
                | (Q(state__in=["delivered", "failed"]) & Q(ended_at__isnull=False)),
                name="delivery_ended_when",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="delivery_due", condition=Q(state="pending")),
            models.Index(fields=["subscription", "-created_at"], name="delivery_of_subscription"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.delivery_id}"

    @property
    def about(self) -> str:
        """The operation or worker; empty for a test."""
        data = self.payload["data"]
        return str(data.get("operation_id") or data.get("worker_id") or "")
