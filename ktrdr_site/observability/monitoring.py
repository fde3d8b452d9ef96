"""Endpoints for monitoring: liveness, readiness and metrics for Prometheus."""

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from rest_framework.decorators import api_view
from rest_framework.request import Request

from ktrdr_site.observability.prometheus import metric_registry
from ktrdr_site.observability.readiness import missing_dispatcher, stale_sweep, unapplied_migrations


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Report that the web server responds, whatever the state of the parts behind it."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Return 200, or 503 with the parts that are not ready."""
    try:
        checks = {
            "database": None,
            "migrations": unapplied_migrations(),
            "schedules": stale_sweep(),
            "dispatcher": missing_dispatcher(),
        }
    except OperationalError as error:
        checks = {"database": " ".join(str(error).split())}
    not_ready = {name: problem for name, problem in checks.items() if problem}
    if not_ready:
        return JsonResponse({"status": "not ready", "not_ready": not_ready}, status=503)
    return JsonResponse({"status": "ready"})


@extend_schema(responses={(200, "text/plain"): OpenApiTypes.STR})
@api_view(["GET"])
def metrics(request: Request) -> HttpResponse:
    """Return Prometheus text, read from the database now, so that all web processes report the same."""
    return HttpResponse(generate_latest(metric_registry()), content_type=CONTENT_TYPE_LATEST)
