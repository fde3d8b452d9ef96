"""Saved strategies in the admin, read-only."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from dashboard.admin.read_only import ReadOnlyAdmin
from strategies.models import SavedStrategy, StrategyVersion


@admin.register(SavedStrategy)
class SavedStrategyAdmin(ReadOnlyAdmin):
    list_display = ("name", "title", "created_by", "created_at", "changed_at", "archived_at", "deleted_at")
    list_select_related = ("created_by",)
    search_fields = ("name", "title", "note")
    date_hierarchy = "changed_at"
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[SavedStrategy]:
        return SavedStrategy.with_deleted.all()


@admin.register(StrategyVersion)
class StrategyVersionAdmin(ReadOnlyAdmin):
    list_display = ("strategy", "number", "digest", "change", "created_by", "created_at")
    list_select_related = ("strategy", "created_by")
    search_fields = ("strategy__name", "digest")
    show_full_result_count = False
