"""The page of one operation with its tabs, and the parts that htmx requests while it runs."""

import json
from collections.abc import Iterator
from typing import Any

from django.http import Http404, HttpResponse, HttpResponseNotModified, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render

from access.roles import Role, refusal
from dashboard.internal_api import call_api
from dashboard.pages import operation_detail, operation_labels
from dashboard.pages.market_data import affected_by
from dashboard.pages.results import result_context
from dashboard.views.decorators import PageRequest, page
from operations import interruptions, sharing
from operations.models import Attempt, Operation
from operations.presentation import file_previews
from operations.presentation.charts import metric_charts
from operations.presentation.curves import curves
from operations.presentation.subject import strategies_of_models, subject
from operations.registered_kinds import all_kinds, kind_of
from operations.states import Status
from operations.waiting import explain_wait
from strategies.differences import diff_lines
from worker_agent.visible_text import visible

TABS = {
    "summary": "Result",
    "metrics": "Metrics",
    "log": "Log",
    "parameters": "Parameters",
    "events": "Events",
    "artifacts": "Artifacts",
}


@page
def operation(request: PageRequest, operation_id: str) -> HttpResponse:
    operation = get_object_or_404(
        Operation.objects.select_related("created_by", "seed_run_member__seed_run"), pk=operation_id
    )
    tab = request.GET.get("tab", "summary")
    if tab not in TABS:
        raise Http404("Unknown tab.")
    context = {
        **_live_context(request, operation, tab),
        "seed_run_member": getattr(operation, "seed_run_member", None),
        "tab_names": TABS.items(),
        "tab_template": f"operations/tabs/{tab}.html",
        **TAB_CONTEXTS[tab](request, operation),
    }
    return render(request, "operations/detail.html", context)


def _live_context(request: PageRequest, operation: Operation, tab: str) -> dict[str, Any]:
    explain_wait(operation)
    about = subject(operation, strategies_of_models([operation]))
    actions = operation_detail.actions(operation, refusal(request.user, Role.OPERATOR))
    active = operation_detail.active_attempt(operation)
    return {
        "operation": operation,
        "active": active,
        "tab": tab,
        "about": about,
        "page_title": _title(operation, about),
        "actions": actions,
        "refusals": sorted({action.refusal for action in actions.values() if action.refusal}),
        "failure": operation_detail.failure(operation),
        "elapsed": operation_detail.elapsed_time(operation),
        "running_time": operation_detail.running_time(active),
        "interruption": operation_detail.interruption(operation),
        "is_live": operation_detail.is_live(operation),
        "is_clonable": kind_of(operation.operation_type).is_clonable,
        "is_seeded": kind_of(operation.operation_type).is_seeded,
        "steps": [step for kind in all_kinds() if (step := kind.step_after(operation))],
        "losses": interruptions.count_lost(operation) if operation.attempt > 1 else 0,
        "status_text": operation_detail.status_text(operation),
        "steps_text": operation_detail.steps_text(operation),
        "etag": f'"{operation_detail.version(operation, active)}"',
    }


def _title(operation: Operation, about: str) -> str:
    """Return the page title, which starts with the progress or status."""
    if operation.status == Status.RUNNING:
        state = f"{operation.progress.get('percentage', 0):.0f} %"
    else:
        state = operation.status.capitalize()
    return f"{state} {kind_of(operation.operation_type).title} {about}".strip()


@page
def operation_live(request: PageRequest, operation_id: str) -> HttpResponse:
    """The header and progress only; 304 if nothing changed.

    The last response announces the end; on the tab that waits for the result, it reloads the page.
    """
    # Reading it through the API refreshes old progress from the worker.
    call_api(request, "GET", f"/operations/{operation_id}")
    operation = get_object_or_404(Operation, pk=operation_id)
    tab = request.GET.get("tab", "summary")
    context = _live_context(request, operation, tab)
    if request.headers.get("If-None-Match") == context["etag"]:
        return HttpResponseNotModified()
    shows_attempts = {"attempts": _attempts(operation), "is_swapped": True} if tab == "summary" else {}
    context = {**context, **shows_attempts, "refreshed": True}
    response = render(request, "operations/detail_live.html", context)
    response["ETag"] = context["etag"]
    if tab == "summary" and not context["is_live"]:
        response["HX-Refresh"] = "true"
    return response


@page
def operation_log(request: PageRequest, operation_id: str) -> HttpResponse:
    """The log lines after `?after=`; 204 if there are none."""
    operation = get_object_or_404(Operation, pk=operation_id)
    try:
        after = int(request.GET.get("after", ""))
    except ValueError:
        raise Http404("`after` must be a number.") from None
    context = _log_context(request, operation, after)
    if context["log"].cursor <= after and context["is_live"]:
        return HttpResponse(status=204)
    return render(request, "operations/log_lines.html", {**context, "operation": operation})


@page
def operation_log_text(request: PageRequest, operation_id: str) -> StreamingHttpResponse:
    """Download the log as a text file."""
    operation = get_object_or_404(Operation, pk=operation_id)
    response = StreamingHttpResponse(_log_text(operation), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{operation_id}.log"'
    return response


def _log_text(operation: Operation) -> Iterator[str]:
    for line in operation.log_lines.order_by("pk").iterator(chunk_size=2000):
        yield f"{line.time.isoformat()} {line.attempt} {line.level.upper():7} {visible(line.message)}\n"


@page
def operation_metrics(request: PageRequest, operation_id: str) -> HttpResponse:
    """The data of the metric charts; a new metric reloads the page."""
    operation = get_object_or_404(Operation, pk=operation_id)
    context = _metrics_context(request, operation)
    response = render(request, "operations/metrics_live.html", {**context, "operation": operation})
    if str(len(context["charts"])) != request.GET.get("charts"):
        response["HX-Refresh"] = "true"
    return response


def _summary_context(request: PageRequest, operation: Operation) -> dict[str, Any]:
    model = operation.parameters.get("model")
    return {
        "attempts": _attempts(operation),
        "waits_for": operation.after.defer("result", "parameters"),
        "followers": operation.followers.defer("result", "parameters"),
        "checkpoint": operation_detail.newest_checkpoint(operation),
        "model_operation": model if isinstance(model, str) else None,
        **operation_labels.context(operation),
        **result_context(operation),
        "affected": affected_by(operation),
        "shared_links": sharing.usable_links(operation) if operation.status == Status.COMPLETED else [],
        "default_days": sharing.DEFAULT_DAYS,
        **(_metrics_context(request, operation) if operation_detail.is_live(operation) else {}),
    }


def _attempts(operation: Operation) -> list[Attempt]:
    """Return the attempts, the newest first; those that ended have `took`."""
    attempts = list(operation.attempts.order_by("-number"))
    for attempt in attempts:
        if attempt.ended_at:
            attempt.took = attempt.ended_at - attempt.claimed_at  # type: ignore[attr-defined]  # for the template
    return attempts


def _log_context(request: PageRequest, operation: Operation, after: int | None = None) -> dict[str, Any]:
    level, find = request.GET.get("level", ""), request.GET.get("find", "")[:200].replace("\0", "")
    return {
        "level": level,
        "find": find,
        "log": operation_detail.log_page(operation, level, find, after),
        "is_live": operation_detail.is_live(operation),
    }


def _log_tab(request: PageRequest, operation: Operation) -> dict[str, Any]:
    return _log_context(request, operation)


def _metrics_context(request: PageRequest, operation: Operation) -> dict[str, Any]:
    return {"charts": metric_charts(curves(operation)), "is_live": operation_detail.is_live(operation)}


def _parameters_context(request: PageRequest, operation: Operation) -> dict[str, Any]:
    original = operation.cloned_from
    return {
        "parameters": [
            (name, value) for name, value in operation.parameters.items() if name != "strategy_yaml"
        ],
        "defaults": kind_of(operation.operation_type).default_parameters(operation.parameters).items(),
        "strategy_text": operation.parameters.get("strategy_yaml"),
        "changes": diff_lines(_as_text(original), _as_text(operation)) if original else [],
    }


def _as_text(operation: Operation) -> str:
    """Format parameters one per line, followed by the strategy file."""
    lines = [
        f"{name}: {json.dumps(value)}"
        for name, value in sorted(operation.parameters.items())
        if name != "strategy_yaml"
    ]
    return "\n".join([*lines, str(operation.parameters.get("strategy_yaml", ""))])


def _events_context(request: PageRequest, operation: Operation) -> dict[str, Any]:
    return {"events": operation.events.order_by("-pk")[:500]}


def _artifacts_context(request: PageRequest, operation: Operation) -> dict[str, Any]:
    files = operation_detail.files(operation)
    for file in files:
        file.url = f"/operations/{operation.pk}/artifacts/{file.name}"  # type: ignore[attr-defined]  # for the template
    return {"files": files, "previews": file_previews.previews(files)}


TAB_CONTEXTS = {
    "summary": _summary_context,
    "metrics": _metrics_context,
    "log": _log_tab,
    "parameters": _parameters_context,
    "events": _events_context,
    "artifacts": _artifacts_context,
}
