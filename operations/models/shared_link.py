from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from operations.models.operation import Operation


class SharedLink(models.Model):
    """An address at which anybody may read one result. Only the hash of its token is stored, so it is shown only once."""

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="shared_links")
    sha256 = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"link {self.pk} to {self.operation_id}"
