"""The groups by which people get their role, there after every migrate and whatever an admin removed by mistake."""

from typing import Any

from django.apps import apps as installed
from django.apps.registry import Apps
from django.db.models import Q

from access.roles import Role

SHOWN_APPS = ("access", "registry", "operations", "ktrdr_site", "django_q")


def create_groups(using: str, apps: Apps = installed, **kwargs: Any) -> None:
    """Staff may look at everything of this site in the administration, and edit schedules; accounts are the superuser's,
    since who may change accounts can make himself one."""
    groups = apps.get_model("auth", "Group").objects.using(using)
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    for role in Role:
        groups.get_or_create(name=role.group)
    look = Q(codename__startswith="view_", content_type__app_label__in=SHOWN_APPS)
    schedules = Q(codename="change_schedule", content_type__app_label="django_q")
    groups.get(name=Role.STAFF.group).permissions.add(*permissions.filter(look | schedules))
