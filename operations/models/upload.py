from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from operations.models.artifact import StoredFile
from operations.models.operation import new_operation_id


class Upload(models.Model):
    """A file that a user sent for use as an input. Operations that use it keep its content after it has expired."""

    upload_id = models.CharField(primary_key=True, max_length=32, default=new_operation_id, editable=False)
    name = models.CharField(max_length=200, help_text="of the file, as it was sent")
    file = models.ForeignKey(StoredFile, on_delete=models.PROTECT, related_name="uploads")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at", "-upload_id"]
        indexes = [models.Index(fields=["expires_at"], name="upload_expiry")]
        constraints = [
            models.UniqueConstraint(fields=["created_by", "file", "name"], name="upload_once_per_user")
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.upload_id})"
