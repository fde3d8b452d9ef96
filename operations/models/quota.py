from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q


class Quota(models.Model):
    """The share of the workers and the limits of a user, or of each member of a group.

    An empty field is inherited: from the user's groups (the most generous one), or else from the settings.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="quota"
    )
    group = models.OneToOneField(
        "auth.Group", null=True, blank=True, on_delete=models.CASCADE, related_name="quota"
    )
    weight = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.01)],
        help_text="share of the workers beside other users; 2 is twice as much as 1",
    )
    max_running = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="operations that a user may have running at the same time; 0: no limit",
    )
    max_pending = models.PositiveIntegerField(
        null=True, blank=True, help_text="operations that a user may have waiting; 0: no limit"
    )

    class Meta:
        ordering = ["group__name", "user__username"]
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=True, group__isnull=False)
                | Q(user__isnull=False, group__isnull=True),
                name="quota_of_a_user_or_a_group",
                violation_error_message="Select either a user or a group.",
            ),
            models.CheckConstraint(
                condition=Q(weight__isnull=True) | Q(weight__gte=0.01), name="quota_weight"
            ),
        ]

    def __str__(self) -> str:
        return f"user {self.user}" if self.user_id else f"group {self.group}"
