import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from access.roles import Role

TOKEN_PREFIX = "ktp_"  # noqa: S105  (people and secret scanners recognise it)


def token_digest(token: str) -> str:
    """Hash a token or recovery code. SHA-256 is enough: 80 random bits or more cannot be guessed from their hash."""
    return hashlib.sha256(token.encode()).hexdigest()


class ApiToken(models.Model):
    """A user's key to the API. Only its hash is stored, so it can be shown only once."""

    class Scope(models.TextChoices):
        """The most that a token may do, whatever the role of its user."""

        READ = "read", "read"
        SUBMIT = "submit", "read and submit"
        FULL = "full", "everything that its user may"

        @property
        def role(self) -> Role:
            return {"read": Role.VIEWER, "submit": Role.OPERATOR, "full": Role.STAFF}[self.value]

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100, blank=True, help_text="purpose of the token")
    sha256 = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)
    scope = models.CharField(max_length=10, choices=Scope.choices, default=Scope.FULL, db_default=Scope.FULL)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="no expiry if empty")

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name or 'token'} of {self.user}"

    @classmethod
    def issue(
        cls, user: object, name: str = "", scope: str = Scope.FULL, expires_in_days: float | None = None
    ) -> str:
        """Create a token for the user and return it; it cannot be read again."""
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        expires_at = None if expires_in_days is None else Now() + timedelta(days=expires_in_days)
        cls.objects.create(
            user=user, name=name, sha256=token_digest(token), scope=scope, expires_at=expires_at
        )
        return token


class RecoveryCode(models.Model):
    """Replaces a code of the user's app once. Only its hash is stored; a used code is deleted."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recovery_codes"
    )
    sha256 = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "sha256"], name="recovery_code_of_user")]

    def __str__(self) -> str:
        return f"recovery code of {self.user}"
