"""The groups that give users their roles. Each migrate creates them again if an admin removed them."""

from typing import Any

from django.apps import apps as installed
from django.apps.registry import Apps
from django.db.models import Q

from access.roles import Role

VIEWED_APPS = ("access", "registry", "operations", "strategies", "studies", "ktrdr_site", "django_q")


def create_groups(using: str, apps: Apps = installed, **kwargs: Any) -> None:
    """Create the groups. Staff may view everything of this site in the administration, and edit schedules and quotas.

    Only superusers may change accounts: with that permission, users could make themselves superusers.
    """
    groups = apps.get_model("auth", "Group").objects.using(using)
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    for role in Role:
        groups.get_or_create(name=role.group)
    view = Q(codename__startswith="view_", content_type__app_label__in=VIEWED_APPS)
    schedules = Q(codename="change_schedule", content_type__app_label="django_q")
    quotas = Q(content_type__app_label="operations", content_type__model="quota")
    groups.get(name=Role.STAFF.group).permissions.add(*permissions.filter(view | schedules | quotas))
