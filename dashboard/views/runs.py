"""The page of runs, its export, and the pages of tags."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from dashboard.internal_api import call_api
from dashboard.pages.operation_list import BoundedPaginator
from dashboard.pages.runs import csv_export, leaderboard, query, table
from dashboard.views.confirmation import confirm_submission
from dashboard.views.decorators import PageRequest, page
from dashboard.views.undo import take_deleted
from operations.presentation.markdown import render_markdown
from operations.runs import ranking
from operations.runs.columns import METRICS

PAGE_SIZE = 50


@page
def runs(request: PageRequest) -> HttpResponse:
    """One page of the runs that match the filter, in the chosen order."""
    run_query = query.read(request.GET)
    matching, error = query.select(run_query)
    ids = matching.values_list("pk", flat=True)
    paginate = BoundedPaginator.read if run_query.where else BoundedPaginator
    pages: Paginator[str] = paginate(ids, PAGE_SIZE)
    current = pages.get_page(request.GET.get("page"))
    context = {
        "page": current,
        "table": table.build(
            ranking.load(list(current)),
            request.GET,
            run_query.order,
            run_query.columns,
            run_query.has_all_settings,
        ),
        "query": run_query,
        "error": error,
        "views": [(view, query.is_current(view, run_query)) for view in query.VIEWS],
        "metrics": METRICS.values(),
        "selected": set(request.GET.getlist("selected")),
        "deleted": take_deleted(request),
    }
    return render(request, "runs/list.html", context)


@page
def runs_csv(request: PageRequest) -> HttpResponse | StreamingHttpResponse:
    """The runs that match the filter as CSV, or those named by `operation`."""
    matching, error = query.select(query.read(request.GET))
    if error:
        return HttpResponse(f"{error}\n", status=422, content_type="text/plain; charset=utf-8")
    if ids := request.GET.getlist("operation"):
        matching = matching.filter(pk__in=ids)
    lines = csv_export.lines(matching)
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="runs.csv"'
    return response


@page
def tags(request: PageRequest) -> HttpResponse:
    return render(request, "runs/tags.html", {"tags": call_api(request, "GET", "/tags").data["results"]})


@page
def tag(request: PageRequest, name: str) -> HttpResponse:
    """The goal and the note of a tag, and its runs with the DSR over all of them."""
    board = leaderboard.build(name, request.GET)
    if board is None:
        raise Http404("Unknown tag.")
    context = {"board": board, "table": board.table, "note": render_markdown(board.tag.note)}
    return render(request, "runs/tag.html", context)


@require_POST
@login_required
def tag_change(request: PageRequest, name: str) -> HttpResponse:
    """Save the goal and the note of a tag."""
    body = {field: request.POST.get(field, "") for field in ("goal", "note")}
    response = call_api(request, "PATCH", f"/tags/{name}", body).raise_if_forbidden()
    if response.is_success:
        confirm_submission(request, "Saved.")
    else:
        messages.error(request, response.problems[0].text)
    return redirect("dashboard:tag", name)
