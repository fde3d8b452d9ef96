"""Saved strategies and their versions."""

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import MD5, Now

from operations.models import Tag

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class StrategyQuerySet(models.QuerySet["SavedStrategy"]):
    def with_current(self) -> "StrategyQuerySet":
        """Annotate `number` and `digest` of the newest version."""
        newest = StrategyVersion.objects.filter(strategy=OuterRef("pk")).order_by("-number")
        return self.annotate(
            number=Subquery(newest.values("number")[:1]), digest=Subquery(newest.values("digest")[:1])
        )


class VisibleStrategies(models.Manager["SavedStrategy"]):
    """All saved strategies except deleted ones."""

    def get_queryset(self) -> StrategyQuerySet:
        return StrategyQuerySet(self.model, using=self._db).filter(deleted_at__isnull=True)

    def with_current(self) -> StrategyQuerySet:
        return self.get_queryset().with_current()


class SavedStrategy(models.Model):
    """A strategy under a name of its own, run or not. Its texts are versions; only `saving` writes both."""

    name = models.CharField(max_length=64, help_text="in addresses; unique among those that are not deleted")
    title = models.CharField(max_length=200, blank=True, db_default="")
    note = models.TextField(blank=True, db_default="", help_text="Markdown")
    tags = models.ManyToManyField(Tag, related_name="strategies", blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        db_index=False,
        related_name="+",
    )
    changed_at = models.DateTimeField(db_default=Now(), help_text="when the newest version was saved")
    archived_at = models.DateTimeField(null=True, blank=True, help_text="lists hide it since; empty: shown")
    deleted_at = models.DateTimeField(
        null=True, blank=True, help_text="hidden since; the cleanup removes it after a grace"
    )

    objects: ClassVar[VisibleStrategies] = VisibleStrategies()
    with_deleted: ClassVar[models.Manager["SavedStrategy"]] = models.Manager()

    class Meta:
        verbose_name_plural = "saved strategies"
        ordering = ["-changed_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"], condition=Q(deleted_at__isnull=True), name="strategy_name_once"
            )
        ]
        indexes = [models.Index(fields=["-changed_at", "-id"], name="strategy_newest")]

    def __str__(self) -> str:
        return self.name


class StrategyVersion(models.Model):
    """A text of a saved strategy. Append-only; `digest` is that of the runs with this text."""

    strategy = models.ForeignKey(
        SavedStrategy, on_delete=models.CASCADE, related_name="versions", db_index=False
    )
    number = models.PositiveIntegerField(help_text="from 1")
    text = models.TextField(help_text="YAML")
    digest = models.GeneratedField(
        expression=MD5("text"),
        output_field=models.CharField(max_length=32),
        db_persist=True,
        help_text="identifies the text, as the digest of an operation's strategy does; not used for security",
    )
    change = models.CharField(max_length=200, blank=True, db_default="", help_text="a few words about it")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by: "models.ForeignKey[User | None]" = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        db_index=False,
        related_name="+",
    )

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["strategy", "number"], name="strategy_version_number_once")
        ]
        indexes = [models.Index(fields=["digest"], name="strategy_version_by_digest")]

    def __str__(self) -> str:
        return f"{self.strategy_id} version {self.number}"
