"""The registry in the admin, read-only."""

from django.contrib import admin

from access.models import AuditEntry
from dashboard.admin.read_only import ReadOnlyAdmin
from registry.models import Capability, EnrolmentToken, Sweep, Worker, WorkerSecret


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = (
        "worker_id",
        "worker_type",
        "status",
        "cordoned",
        "draining",
        "last_healthy_at",
        "health_check_failures",
    )
    list_filter = ("status", "worker_type", "cordoned")
    search_fields = ("worker_id", "endpoint_url")
    date_hierarchy = "registered_at"
    list_per_page = 100
    unlisted_fields = ("resources", "capabilities")


@admin.register(Capability)
class CapabilityAdmin(ReadOnlyAdmin):
    list_display = ("operation_type", "worker_type", "start_path", "announced_at")
    list_filter = ("worker_type",)
    search_fields = ("operation_type",)


@admin.register(Sweep)
class SweepAdmin(ReadOnlyAdmin):
    list_display = ("kind", "started_at", "completed_at", "summary")
    list_filter = ("kind",)
    date_hierarchy = "started_at"


@admin.register(EnrolmentToken)
class EnrolmentTokenAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "worker_types",
        "operation_types",
        "created_by",
        "created_at",
        "last_used_at",
        "revoked_at",
    )
    list_select_related = ("created_by",)


@admin.register(WorkerSecret)
class WorkerSecretAdmin(ReadOnlyAdmin):
    list_display = ("name", "worker_types", "changed_by", "changed_at", "last_read_at")
    list_select_related = ("changed_by",)
    exclude = ("ciphertext",)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "act", "subject", "actor", "address", "reason")
    list_filter = ("act",)
    search_fields = ("subject", "actor", "reason")
    date_hierarchy = "at"
    show_full_result_count = False
