from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import Http404, HttpResponse
from django.shortcuts import render

from access.audit import entries_of_worker
from dashboard.pages.overview import worker_counts
from dashboard.pages.workers import history, load, worker_rows
from dashboard.templatetags.icons import WORKER_LABELS
from dashboard.views.decorators import PageRequest, page
from operations.presentation.subject import strategies_of_models, subject
from registry.models import Capability, Worker

PAGE_SIZE = 60


@page
def workers(request: PageRequest) -> HttpResponse:
    """One page of the workers that match the filters in the query string."""
    capabilities = Capability.objects.only("operation_type")
    matching = Worker.objects.prefetch_related(Prefetch("announced", capabilities))
    for key in ("worker_type", "status"):
        if value := request.GET.get(key):
            matching = matching.filter(**{key: value})
    page = Paginator(matching.order_by("worker_id"), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": worker_rows(list(page)),
        "counts": worker_counts(),
        "types": Worker.objects.order_by("worker_type").values_list("worker_type", flat=True).distinct(),
        "statuses": WORKER_LABELS.items(),
    }
    return render(request, "workers/live.html" if request.htmx else "workers/list.html", context)


@page
def worker(request: PageRequest, worker_id: str) -> HttpResponse:
    """One worker. For a removed worker, only its history."""
    registered = Worker.objects.prefetch_related("announced").filter(pk=worker_id).first()
    attempts, acts = history(worker_id), list(entries_of_worker(worker_id))
    if registered is None and not attempts and not acts:
        raise Http404(f"Unknown worker {worker_id}.")
    strategies = strategies_of_models([attempt.operation for attempt in attempts])
    for attempt in attempts:
        attempt.about = subject(attempt.operation, strategies)  # type: ignore[attr-defined]  # for the template
        if attempt.ended_at:
            attempt.took = attempt.ended_at - attempt.claimed_at  # type: ignore[attr-defined]  # likewise
    return render(
        request,
        "workers/detail_live.html" if request.htmx else "workers/detail.html",
        {
            "worker_id": worker_id,
            "worker": registered,
            "row": worker_rows([registered])[0] if registered else None,
            "load": load(registered) if registered else [],
            "attempts": attempts,
            "acts": acts,
        },
    )
