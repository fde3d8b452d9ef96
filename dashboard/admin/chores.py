"""Schedules and finished chores in the admin.

django-q2's own pages edit which function a schedule runs and run any stored task again, so that an administrator would
have a shell. These pages replace them: interval and pause can be changed, nothing else.
"""

from typing import Any

import django_q.admin  # noqa: F401  (registers the pages that are replaced below)
from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django_q.models import Failure, OrmQ, Schedule, Success

from access import audit
from access.actors import Actor
from access.models import AuditEntry
from dashboard.admin.read_only import ReadOnlyAdmin
from registry.schedules import PAUSED, RUNS_FOREVER

admin.site.unregister([Schedule, Success, Failure, OrmQ])


class ScheduleForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    paused = forms.BooleanField(required=False)

    class Meta:
        model = Schedule
        fields = ("cron",)
        labels = {"cron": "Interval"}
        help_texts = {
            "cron": "A cron expression; a sixth field counts seconds. A restart of run_schedules resets it from the settings."
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["cron"].required = True
        self.initial["paused"] = self.instance.repeats == PAUSED


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    form = ScheduleForm
    list_display = ("name", "func", "cron", "is_paused", "next_run")
    list_filter = ("next_run",)
    search_fields = ("name", "func")
    fields = ("name", "func", "next_run", "cron", "paused")
    readonly_fields = ("name", "func", "next_run")

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return admin.ModelAdmin.has_change_permission(self, request, obj)

    @admin.display(description="paused", boolean=True)
    def is_paused(self, schedule: Schedule) -> bool:
        return bool(schedule.repeats == PAUSED)

    def save_model(self, request: HttpRequest, obj: Schedule, form: Any, change: bool) -> None:
        """Write only the two columns: run_schedules updates the others of the same row each interval."""
        paused = form.cleaned_data["paused"]
        with transaction.atomic():
            Schedule.objects.filter(pk=obj.pk).update(
                cron=obj.cron, repeats=PAUSED if paused else RUNS_FOREVER
            )
            state = f"{obj.cron}, paused" if paused else obj.cron
            audit.record(
                AuditEntry.Act.SCHEDULE_CHANGED, str(obj.name)[:200], Actor.from_request(request), state
            )


class FinishedChoreAdmin(ReadOnlyAdmin):
    """Without arguments and results, which are stored as pickles; the log has the error of a failed chore."""

    list_display = ("name", "group", "func", "started", "stopped")
    list_filter = ("group",)
    search_fields = ("name", "func", "group")
    fields = ("id", "name", "group", "func", "started", "stopped", "success")
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("args", "kwargs", "result")


admin.site.register([Success, Failure], FinishedChoreAdmin)
