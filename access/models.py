"""The audit trail, and counters of failed sign-ins and tokens."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class AuditEntry(models.Model):
    """An action of a person on a worker, a user, a token, a schedule, market data, a notification or many operations.

    Append-only. A single operation has events instead.
    """

    class Act(models.TextChoices):
        WORKER_CORDONED = "worker_cordoned", "cordoned"
        WORKER_DRAINED = "worker_drained", "drained"
        WORKER_UNCORDONED = "worker_uncordoned", "uncordoned"
        WORKER_REMOVED = "worker_removed", "removed"
        API_TOKEN_CREATED = "api_token_created", "API token created"
        API_TOKEN_REVOKED = "api_token_revoked", "API token revoked"
        ENROLMENT_TOKEN_CREATED = "enrolment_token_created", "enrolment token created"
        ENROLMENT_TOKEN_REVOKED = "enrolment_token_revoked", "enrolment token revoked"
        SIGNED_IN = "signed_in", "signed in"
        SIGN_IN_FAILED = "sign_in_failed", "sign-in failed"
        PASSWORD_CHANGED = "password_changed", "password changed"
        SECOND_FACTOR_ADDED = "second_factor_added", "second factor added"
        SECOND_FACTOR_REMOVED = "second_factor_removed", "second factor removed"
        SECOND_FACTOR_RESET = "second_factor_reset", "second factor reset"
        SECOND_FACTOR_FAILED = "second_factor_failed", "second factor failed"
        RECOVERY_CODES_CREATED = "recovery_codes_created", "recovery codes created"
        RECOVERY_CODE_USED = "recovery_code_used", "recovery code used"
        USER_CREATED = "user_created", "user created"
        USER_ROLE_CHANGED = "user_role_changed", "role of user changed"
        USER_DEACTIVATED = "user_deactivated", "user deactivated"
        USER_ACTIVATED = "user_activated", "user activated"
        USER_SIGNED_OUT = "user_signed_out", "user signed out everywhere"
        DISPATCHING_PAUSED = "dispatching_paused", "paused"
        DISPATCHING_RESUMED = "dispatching_resumed", "resumed"
        SECRET_CREATED = "secret_created", "secret created"
        SECRET_CHANGED = "secret_changed", "secret changed"
        SECRET_DELETED = "secret_deleted", "secret deleted"
        OPERATION_TYPE_PERMITTED = "operation_type_permitted", "operation type permitted to"
        SCHEDULE_CREATED = "schedule_created", "schedule created"
        SCHEDULE_CHANGED = "schedule_changed", "schedule changed"
        SCHEDULE_PAUSED = "schedule_paused", "schedule paused"
        SCHEDULE_RESUMED = "schedule_resumed", "schedule resumed"
        SCHEDULE_DELETED = "schedule_deleted", "schedule deleted"
        OPERATIONS_CANCELLED = "operations_cancelled", "cancelled many operations"
        OPERATIONS_RETRIED = "operations_retried", "retried many operations"
        OPERATIONS_LABELLED = "operations_labelled", "labelled many operations"
        OPERATIONS_DELETED = "operations_deleted", "deleted many operations"
        OPERATIONS_RESTORED = "operations_restored", "restored many operations"
        STRATEGY_DELETED = "strategy_deleted", "strategy deleted"
        STRATEGY_RESTORED = "strategy_restored", "strategy restored"
        RESULT_SHARED = "result_shared", "result shared by a link"
        RESULT_UNSHARED = "result_unshared", "link to a result revoked"
        MARKET_DATA_DELETED = "market_data_deleted", "market data deleted"
        HOLDOUT_LOOK = "holdout_look", "looked at a holdout again"
        SUBSCRIPTION_CREATED = "subscription_created", "notification created"
        SUBSCRIPTION_CHANGED = "subscription_changed", "notification changed"
        SUBSCRIPTION_PAUSED = "subscription_paused", "notification paused"
        SUBSCRIPTION_CONTINUED = "subscription_continued", "notification continued"
        SUBSCRIPTION_TESTED = "subscription_tested", "notification tested"
        SUBSCRIPTION_SECRET_CHANGED = "subscription_secret_changed", "notification's secret changed"
        SUBSCRIPTION_DELETED = "subscription_deleted", "notification deleted"

    at = models.DateTimeField(db_default=Now())
    act = models.CharField(max_length=32, choices=Act.choices)
    subject = models.CharField(max_length=200, help_text="worker id, token name and owner, ...")
    actor = models.CharField(max_length=200, help_text="user:NAME, command")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    address = models.GenericIPAddressField(null=True, blank=True, help_text="address of the request")
    reason = models.CharField(max_length=1000, blank=True)

    class Meta:
        db_table = "registry_auditentry"
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["subject", "-id"], name="audit_of_subject")]

    def __str__(self) -> str:
        return f"{self.get_act_display()} {self.subject} by {self.actor}"


class Failures(models.Model):
    """A leaky bucket that counts failed passwords or tokens of one address or user name."""

    key = models.CharField(primary_key=True, max_length=250)
    level = models.FloatField(help_text="level at `updated_at`")
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "registry_failures"
        verbose_name_plural = "failures"

    def __str__(self) -> str:
        return self.key
