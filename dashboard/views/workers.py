from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import Http404, HttpResponse
from django.shortcuts import render

from access.audit import entries_of_worker
from dashboard.pages.overview import worker_counts
from dashboard.pages.workers import history, load, worker_rows
from dashboard.views.request import PageRequest, page
from operations.presentation.subject import strategies_of_models, subject
from registry.models import Capability, Worker, WorkerStatus

PAGE_SIZE = 60


@page
def workers(request: PageRequest) -> HttpResponse:
    types_of_work = Capability.objects.only("operation_type")
    found = Worker.objects.prefetch_related(Prefetch("announced", types_of_work))
    for key in ("worker_type", "status"):
        if value := request.GET.get(key):
            found = found.filter(**{key: value})
    page = Paginator(found.order_by("worker_id"), PAGE_SIZE).get_page(request.GET.get("page"))
    shown = {
        "page": page,
        "rows": worker_rows(list(page)),
        "counts": worker_counts(),
        "types": Worker.objects.order_by("worker_type").values_list("worker_type", flat=True).distinct(),
        "statuses": WorkerStatus.choices,
    }
    return render(request, "workers/live.html" if request.htmx else "workers/list.html", shown)


@page
def worker(request: PageRequest, worker_id: str) -> HttpResponse:
    """One worker; of a removed one only its history is left, and that is shown."""
    known = Worker.objects.prefetch_related("announced").filter(pk=worker_id).first()
    attempts, acts = history(worker_id), list(entries_of_worker(worker_id))
    if known is None and not attempts and not acts:
        raise Http404(f"No worker {worker_id} is known.")
    strategies = strategies_of_models([attempt.operation for attempt in attempts])
    for attempt in attempts:
        attempt.about = subject(attempt.operation, strategies)  # type: ignore[attr-defined]  # for the template alone
        if attempt.ended_at:
            attempt.took = attempt.ended_at - attempt.claimed_at  # type: ignore[attr-defined]  # likewise
    return render(
        request,
        "workers/detail_live.html" if request.htmx else "workers/detail.html",
        {
            "worker_id": worker_id,
            "worker": known,
            "row": worker_rows([known])[0] if known else None,
            "load": load(known) if known else [],
            "attempts": attempts,
            "acts": acts,
        },
    )
