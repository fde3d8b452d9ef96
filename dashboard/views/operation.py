"""One operation: its page with its tabs, and the parts of it that htmx asks for while it runs."""

import json
from collections.abc import Iterator
from typing import Any

import structlog
from django.http import Http404, HttpResponse, HttpResponseNotModified, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render

from access.roles import Role, refusal
from dashboard.pages import operation_detail as reading
from dashboard.views.request import PageRequest, page
from dashboard.views.through_api import send
from operations.kind import all_kinds, kind_of
from operations.models import Operation
from operations.presentation import stored_reports
from operations.presentation.charts import metric_charts
from operations.presentation.curves import curves
from operations.presentation.subject import strategies_of_models, subject
from operations.states import Status

logger = structlog.get_logger(__name__)

TABS = {
    "summary": "Summary",
    "report": "Report",
    "metrics": "Metrics",
    "log": "Log",
    "parameters": "Parameters",
    "events": "Events",
    "artifacts": "Artifacts",
}


@page
def operation(request: PageRequest, operation_id: str) -> HttpResponse:
    shown = get_object_or_404(Operation.objects.select_related("created_by"), pk=operation_id)
    names = _tab_names(shown)
    tab = request.GET.get("tab", "summary")
    if tab not in names:
        raise Http404("There is no such tab.")
    context = {
        **_live_context(request, shown, tab),
        "tab_names": names.items(),
        "tab_template": f"operations/tabs/{tab}.html",
        **TAB_CONTEXTS[tab](request, shown),
    }
    return render(request, "operations/detail.html", context)


def _tab_names(operation: Operation) -> dict[str, str]:
    has_report = kind_of(operation.operation_type).report_template and operation.result is not None
    return {key: name for key, name in TABS.items() if key != "report" or has_report}


def _live_context(request: PageRequest, operation: Operation, tab: str) -> dict[str, Any]:
    about = subject(operation, strategies_of_models([operation]))
    actions = reading.actions(operation, refusal(request.user, Role.OPERATOR))
    return {
        "operation": operation,
        "tab": tab,
        "about": about,
        "page_title": _title(operation, about),
        "actions": actions,
        "refusals": sorted({action.refusal for action in actions.values() if action.refusal}),
        "failure": reading.failure(operation),
        "elapsed": reading.elapsed(operation),
        "is_live": reading.is_live(operation),
        "is_clonable": kind_of(operation.operation_type).is_clonable,
        "steps": [step for kind in all_kinds() if (step := kind.step_after(operation))],
        "most_attempts": operation.attempts_from + operation.max_attempts,
        "etag": f'"{reading.version(operation)}"',
    }


def _title(operation: Operation, about: str) -> str:
    """What a tab of the browser shows: first how far it is."""
    if operation.status == Status.RUNNING:
        state = f"{operation.progress.get('percentage', 0):.0f} %"
    else:
        state = operation.status.capitalize()
    return f"{state} {operation.operation_type} {about}".strip()


@page
def operation_live(request: PageRequest, operation_id: str) -> HttpResponse:
    """Header and progress alone; 304 where nothing changed.

    The last one tells that it has ended; where the result's place was empty until then, it asks for the page anew.
    """
    send(request, "GET", f"/operations/{operation_id}")  # asks the worker where the row is too old
    shown = get_object_or_404(Operation, pk=operation_id)
    tab = request.GET.get("tab", "summary")
    context = _live_context(request, shown, tab)
    if request.headers.get("If-None-Match") == context["etag"]:
        return HttpResponseNotModified()
    response = render(request, "operations/detail_live.html", {**context, "refreshed": True})
    response["ETag"] = context["etag"]
    if tab == "summary" and not context["is_live"]:
        response["HX-Refresh"] = "true"
    return response


@page
def operation_log(request: PageRequest, operation_id: str) -> HttpResponse:
    """The lines after `?after=`; 204 where there are none."""
    shown = get_object_or_404(Operation, pk=operation_id)
    try:
        after = int(request.GET.get("after", ""))
    except ValueError:
        raise Http404("`after` is the number of a line.") from None
    context = _log_context(request, shown, after)
    if context["log"].cursor <= after and context["is_live"]:
        return HttpResponse(status=204)
    return render(request, "operations/log_lines.html", {**context, "operation": shown})


@page
def operation_log_text(request: PageRequest, operation_id: str) -> StreamingHttpResponse:
    """The whole log as a text file."""
    shown = get_object_or_404(Operation, pk=operation_id)
    response = StreamingHttpResponse(_log_text(shown), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{operation_id}.log"'
    return response


def _log_text(operation: Operation) -> Iterator[str]:
    for line in operation.log_lines.order_by("pk").iterator(chunk_size=2000):
        yield f"{line.time.isoformat()} {line.attempt} {line.level.upper():7} {line.message}\n"


@page
def operation_metrics(request: PageRequest, operation_id: str) -> HttpResponse:
    """The numbers of the charts; a metric that is new since the page was made asks for the page anew."""
    shown = get_object_or_404(Operation, pk=operation_id)
    context = _metrics_context(request, shown)
    response = render(request, "operations/metrics_live.html", {**context, "operation": shown})
    if str(len(context["charts"])) != request.GET.get("charts"):
        response["HX-Refresh"] = "true"
    return response


def _summary_context(request: PageRequest, operation: Operation) -> dict[str, Any]:
    attempts = list(operation.attempts.order_by("-number"))
    for attempt in attempts:
        if attempt.ended_at:
            attempt.took = attempt.ended_at - attempt.claimed_at  # type: ignore[attr-defined]  # for the template alone
    model = operation.parameters.get("model")
    kind = kind_of(operation.operation_type)
    return {
        "attempts": attempts,
        "waits_for": operation.after.defer("result", "parameters"),
        "followers": operation.followers.defer("result", "parameters"),
        "checkpoint": reading.newest_checkpoint(operation),
        "model_operation": model if isinstance(model, str) else None,
        "result_facts": _flat(operation.result or {}),
        "kind": kind,
        **kind.result_context(operation),
    }


def _flat(data: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested values as one list of (dotted name, value)."""
    found: list[tuple[str, Any]] = []
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            found += _flat(value, f"{name}.")
        else:
            found.append((name, value))
    return found


def _log_context(request: PageRequest, operation: Operation, after: int | None = None) -> dict[str, Any]:
    level, find = request.GET.get("level", ""), request.GET.get("find", "")[:200].replace("\0", "")
    return {
        "level": level,
        "find": find,
        "log": reading.log_page(operation, level, find, after),
        "is_live": reading.is_live(operation),
    }


def _log_tab(request: PageRequest, operation: Operation) -> dict[str, Any]:
    return _log_context(request, operation)


def _metrics_context(request: PageRequest, operation: Operation) -> dict[str, Any]:
    return {"charts": metric_charts(curves(operation)), "is_live": reading.is_live(operation)}


def _parameters_context(request: PageRequest, operation: Operation) -> dict[str, Any]:
    original = operation.cloned_from
    return {
        "parameters": [
            (name, value) for name, value in operation.parameters.items() if name != "strategy_yaml"
        ],
        "strategy_text": operation.parameters.get("strategy_yaml"),
        "changes": reading.differences(_as_text(original), _as_text(operation)) if original else [],
    }


def _as_text(operation: Operation) -> str:
    """Parameters one a line, then the strategy as it was written."""
    lines = [
        f"{name}: {json.dumps(value)}"
        for name, value in sorted(operation.parameters.items())
        if name != "strategy_yaml"
    ]
    return "\n".join([*lines, str(operation.parameters.get("strategy_yaml", ""))])


def _events_context(request: PageRequest, operation: Operation) -> dict[str, Any]:
    return {"events": operation.events.order_by("-pk")[:500]}


def _artifacts_context(request: PageRequest, operation: Operation) -> dict[str, Any]:
    files = reading.files(operation)
    for file in files:
        file.url = f"/operations/{operation.pk}/artifacts/{file.name}"  # type: ignore[attr-defined]  # for the template alone
    return {"files": files}


def _report_context(request: PageRequest, operation: Operation) -> dict[str, Any]:
    """The report drawn; a missing or broken one shows the reason and harms nothing else."""
    kind = kind_of(operation.operation_type)
    context = {
        **kind.result_context(operation),
        "kind": kind,
        "provenance": _flat((operation.result or {}).get("provenance") or {}),
    }
    try:
        return {**context, **kind.report_context(operation, stored_reports.read(operation))}
    except stored_reports.ReportUnavailableError as error:
        return {**context, "report_missing": str(error)}
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        logger.exception("report could not be rendered", operation_id=operation.pk)
        return {
            **context,
            "report_missing": f"Its report has an unknown shape ({type(error).__name__}: {error}).",
        }


TAB_CONTEXTS = {
    "summary": _summary_context,
    "report": _report_context,
    "metrics": _metrics_context,
    "log": _log_tab,
    "parameters": _parameters_context,
    "events": _events_context,
    "artifacts": _artifacts_context,
}
