"""Studies in the admin, read-only. Trials have a page of the dashboard: their key has two columns."""

from django.contrib import admin

from dashboard.admin.read_only import ReadOnlyAdmin
from studies.models import Study, StudyBatch


@admin.register(Study)
class StudyAdmin(ReadOnlyAdmin):
    list_display = (
        "study_id",
        "name",
        "kind",
        "status",
        "planned",
        "completed",
        "failed",
        "best_value",
        "created_by",
        "created_at",
    )
    list_filter = ("status", "kind")
    list_select_related = ("created_by",)
    search_fields = ("study_id", "name")
    date_hierarchy = "created_at"
    show_full_result_count = False
    unlisted_fields = ("spec", "study_yaml", "strategy_yaml", "report")


@admin.register(StudyBatch)
class StudyBatchAdmin(ReadOnlyAdmin):
    list_display = ("study", "rung", "first", "last", "is_open", "operation")
    list_filter = ("is_open", "rung")
    list_select_related = ("study", "operation")
    search_fields = ("study__study_id", "operation__operation_id")
    show_full_result_count = False
