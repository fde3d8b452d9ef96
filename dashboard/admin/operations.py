"""Operations in the admin: search, read, cancel and retry. Status changes go through the API."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from access.actors import Actor
from dashboard.admin.read_only import ReadOnlyAdmin
from dashboard.subscription_form import SubscriptionForm
from dashboard.views.actions import act_on_operation, success_message
from operations.models import Artifact, Attempt, Delivery, Event, MarketData, Operation, Quota, Subscription
from operations.notifications import subscriptions


class ReadOnlyInline(admin.TabularInline):  # type: ignore[type-arg]  # generic only in the stubs
    """Read-only rows of an operation."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class AttemptInline(ReadOnlyInline):
    model = Attempt
    fields = ("number", "worker_id", "claimed_at", "started_at", "ended_at", "outcome", "error")


class EventInline(ReadOnlyInline):
    model = Event
    fields = ("at", "kind", "from_status", "to_status", "attempt", "actor", "reason")


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin):
    list_display = (
        "operation_id",
        "operation_type",
        "status",
        "priority",
        "worker_id",
        "attempt",
        "created_by",
        "created_at",
        "completed_at",
    )
    list_filter = ("status", "operation_type", "error_class")
    list_select_related = ("created_by",)
    search_fields = ("operation_id", "worker_id", "error_message")
    date_hierarchy = "created_at"
    list_per_page = 100
    show_full_result_count = False
    unlisted_fields = ("parameters", "result", "error_traceback", "progress")
    inlines = (AttemptInline, EventInline)

    actions = ("cancel_chosen", "retry_chosen")

    @admin.action(description="Cancel the selected operations")
    def cancel_chosen(self, request: HttpRequest, selected: QuerySet[Operation]) -> None:
        self._act(request, selected, "cancel")

    @admin.action(description="Retry the selected operations")
    def retry_chosen(self, request: HttpRequest, selected: QuerySet[Operation]) -> None:
        self._act(request, selected, "retry")

    def _act(self, request: HttpRequest, selected: QuerySet[Operation], act: str) -> None:
        """Act through the API, as the pages do, so that the same rules apply."""
        for operation_id in selected.values_list("pk", flat=True):
            response = act_on_operation(request, operation_id, act)
            message = success_message(act, response) if response.is_success else response.detail
            level = messages.SUCCESS if response.is_success else messages.WARNING
            self.message_user(request, f"{operation_id}: {message}", level)


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    list_display = ("operation_id", "number", "worker_id", "claimed_at", "ended_at", "outcome")
    list_filter = ("outcome",)
    search_fields = ("operation__operation_id", "worker_id", "instance_id")
    date_hierarchy = "claimed_at"
    show_full_result_count = False


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("at", "operation_id", "kind", "from_status", "to_status", "attempt", "actor", "reason")
    list_filter = ("kind", "to_status")
    search_fields = ("operation__operation_id", "actor", "reason")
    date_hierarchy = "at"
    show_full_result_count = False


@admin.register(Artifact)
class ArtifactAdmin(ReadOnlyAdmin):
    list_display = ("name", "role", "operation_id", "attempt", "file_id")
    list_filter = ("role",)
    search_fields = ("name", "operation__operation_id", "file__sha256")
    show_full_result_count = False


@admin.register(MarketData)
class MarketDataAdmin(ReadOnlyAdmin):
    list_display = ("symbol", "timeframe", "rows", "start", "end", "imported_at")
    list_filter = ("timeframe",)
    search_fields = ("symbol",)


@admin.register(Subscription)
class SubscriptionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic only in the stubs
    """Uses the form of the page. Only the page shows a webhook's secret ("New secret")."""

    form = SubscriptionForm
    fields = ("name", "channel", "target", "kinds", "operation_type", "active")
    list_display = ("name", "channel", "target", "active", "created_by")
    list_select_related = ("created_by",)
    list_filter = ("channel", "active")
    search_fields = ("name", "target")

    def save_model(self, request: HttpRequest, obj: Subscription, form: Any, change: bool) -> None:
        if change:
            subscriptions.change(obj, form.changed_data, Actor.from_request(request))
        else:
            subscriptions.create(obj, Actor.from_request(request))

    def delete_model(self, request: HttpRequest, obj: Subscription) -> None:
        subscriptions.delete(obj, Actor.from_request(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        for subscription in queryset:
            subscriptions.delete(subscription, Actor.from_request(request))


@admin.register(Quota)
class QuotaAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic only in the stubs
    """Shares and limits. A change takes effect within a second."""

    fields = ("user", "group", "weight", "max_running", "max_pending")
    list_display = ("__str__", "weight", "max_running", "max_pending")
    list_select_related = ("user", "group")
    list_filter = ("group",)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("delivery_id", "kind", "subscription", "state", "tries", "created_at", "due_at")
    list_filter = ("state", "kind")
    list_select_related = ("subscription",)
    date_hierarchy = "created_at"
    show_full_result_count = False
