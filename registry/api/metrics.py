"""Prometheus discovers and scrapes the workers through this site, with a single token.

A worker accepts only the backend, so Prometheus needs neither a token for each worker nor a route to it.
"""

from django.http import HttpResponse, JsonResponse
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.views import APIView

from access.problems import Unavailable
from registry import bounded_calls
from registry.endpoint import Endpoint
from registry.models import Worker, WorkerStatus
from registry.worker_client import WorkerClient
from registry.worker_errors import WorkerError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class ScrapeTargets(APIView):
    @extend_schema(responses={(200, "application/json"): {"type": "array", "items": {"type": "object"}}})
    def get(self, request: Request) -> JsonResponse:
        """List the registered workers in the format of Prometheus' HTTP service discovery."""
        workers = Worker.objects.order_by("worker_id").values_list("worker_id", "worker_type")
        targets = [
            {
                "targets": [request.get_host()],
                "labels": {
                    "__scheme__": request.scheme,
                    "__metrics_path__": reverse("worker-metrics", args=[worker_id]),
                    "instance": worker_id,
                    "worker_type": worker_type,
                },
            }
            for worker_id, worker_type in workers
        ]
        return JsonResponse(targets, safe=False)


class WorkerMetrics(APIView):
    @extend_schema(responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request, worker_id: str) -> HttpResponse:
        """Return the worker's own `/metrics`; 503 if it does not respond within half a second."""
        worker = None if "\x00" in worker_id else Worker.objects.filter(pk=worker_id).first()
        if worker is None:
            raise NotFound("Unknown worker.")
        if worker.status == WorkerStatus.TEMPORARILY_UNAVAILABLE:
            raise Unavailable(f"The worker is unavailable: {worker.health_problem}.")
        try:
            content = bounded_calls.call(_scrape, Endpoint.of(worker))
        except WorkerError as error:
            raise Unavailable(f"Could not read the worker's metrics: {error}.") from error
        return HttpResponse(content, content_type=CONTENT_TYPE)


async def _scrape(worker: Endpoint) -> bytes:
    async with WorkerClient(timeout_s=bounded_calls.WAIT_S) as client:
        return await client.prometheus_metrics(worker)
