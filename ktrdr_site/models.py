import hashlib
import secrets

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

TOKEN_PREFIX = "ktp_"  # noqa: S105  (people and secret scanners recognise it)


def token_digest(token: str) -> str:
    """Hash a token. SHA-256 is enough: 256 random bits cannot be guessed from their hash."""
    return hashlib.sha256(token.encode()).hexdigest()


class ApiToken(models.Model):
    """A user's key to the API. Only its hash is stored, so it can be shown only once."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100, blank=True, help_text="purpose of the token")
    sha256 = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name or 'token'} of {self.user}"

    @classmethod
    def issue(cls, user: object, name: str = "") -> str:
        """Create a token for the user and return it; it cannot be read again."""
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        cls.objects.create(user=user, name=name, sha256=token_digest(token))
        return token
