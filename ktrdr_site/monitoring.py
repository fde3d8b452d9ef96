"""What watches this site asks: does it live, is it ready, and the figures for Prometheus."""

from datetime import timedelta

from django.conf import settings
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from rest_framework.decorators import api_view
from rest_framework.request import Request

from ktrdr_site.metrics import figures
from operations.dispatching.heartbeat import dispatchers_alive
from registry.models import Sweep

STALE_AFTER_SWEEPS = 3


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """The web server answers; says nothing of what is behind it."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200, or 503 with what is not ready."""
    try:
        checks = {
            "database": None,
            "migrations": _unapplied_migrations(),
            "schedules": _stale_sweep(),
            "dispatcher": _no_dispatcher(),
        }
    except OperationalError as error:
        checks = {"database": " ".join(str(error).split())}
    not_ready = {name: problem for name, problem in checks.items() if problem}
    if not_ready:
        return JsonResponse({"status": "not ready", "not_ready": not_ready}, status=503)
    return JsonResponse({"status": "ready"})


def _unapplied_migrations() -> str | None:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return f"{len(missing)} not applied; run manage.py migrate" if missing else None


def _stale_sweep() -> str | None:
    limit = timedelta(seconds=STALE_AFTER_SWEEPS * settings.HEALTH_INTERVAL_S)
    sweeps = Sweep.objects.filter(kind=Sweep.Kind.HEALTH, completed_at__isnull=False)
    newest = sweeps.order_by("-completed_at").values_list("completed_at", Now() - limit).first()
    if newest is None:
        return "no health sweep has completed yet; is manage.py run_schedules running?"
    completed, oldest_allowed = newest
    if completed < oldest_allowed:
        age = (oldest_allowed + limit - completed).total_seconds()
        return f"the last health sweep completed {age:.0f} s ago; is manage.py run_schedules running?"
    return None


def _no_dispatcher() -> str | None:
    return None if dispatchers_alive() else "none is alive; is manage.py run_dispatcher running?"


@extend_schema(responses={(200, "text/plain"): OpenApiTypes.STR})
@api_view(["GET"])
def metrics(request: Request) -> HttpResponse:
    """Prometheus text, read from the database at this moment, so that every web process says the same."""
    return HttpResponse(generate_latest(figures()), content_type=CONTENT_TYPE_LATEST)
