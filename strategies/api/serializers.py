"""The shapes of saved strategies in the API."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from rest_framework import serializers

from strategies.models import SavedStrategy, StrategyVersion


class SavedStrategySerializer(serializers.ModelSerializer[SavedStrategy]):
    tags = serializers.SerializerMethodField()
    created_by = serializers.CharField(source="created_by.username", default=None, allow_null=True)
    version = serializers.IntegerField(source="number", help_text="number of the newest version")
    digest = serializers.CharField(help_text="of its text; runs of this text have the same")

    class Meta:
        model = SavedStrategy
        fields = (
            "name",
            "title",
            "note",
            "tags",
            "version",
            "digest",
            "created_at",
            "created_by",
            "changed_at",
            "archived_at",
        )

    def get_tags(self, strategy: SavedStrategy) -> list[str]:
        return sorted(tag.pk for tag in strategy.tags.all())


class VersionSerializer(serializers.ModelSerializer[StrategyVersion]):
    version = serializers.IntegerField(source="number")
    created_by = serializers.CharField(source="created_by.username", default=None, allow_null=True)
    digest = serializers.CharField()

    class Meta:
        model = StrategyVersion
        fields = ("version", "digest", "change", "created_at", "created_by")


class VersionDetailSerializer(VersionSerializer):
    strategy_yaml = serializers.CharField(source="text")

    class Meta(VersionSerializer.Meta):
        fields = (*VersionSerializer.Meta.fields, "strategy_yaml")  # type: ignore[assignment]  # one more


class DeletedStrategySerializer(serializers.ModelSerializer[SavedStrategy]):
    deleted_at = serializers.DateTimeField()
    removed_after = serializers.SerializerMethodField(help_text="it can be restored until then")

    class Meta:
        model = SavedStrategy
        fields = ("name", "deleted_at", "removed_after")

    def get_removed_after(self, strategy: SavedStrategy) -> datetime:
        assert strategy.deleted_at is not None, "it is deleted"
        return strategy.deleted_at + timedelta(days=settings.DELETED_RETENTION_DAYS)


class DiffLineSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=["same", "add", "del", "gap"])
    text = serializers.CharField(allow_blank=True)
    old = serializers.IntegerField(allow_null=True, help_text="line in the version `from`")
    new = serializers.IntegerField(allow_null=True, help_text="line in the version `to`")
