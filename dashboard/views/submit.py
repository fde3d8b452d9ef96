"""The submit forms, and the preview beside them that updates while the user types."""

import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from access.body_limits import FORM_OVERHEAD, accept_bodies
from dashboard.internal_api import ApiResponse, InputProblem, call_api, forward_upload
from dashboard.pages import submit_preview
from dashboard.pages.form_problems import locate
from dashboard.pages.market_data import affected_by_import
from dashboard.pages.seed_runs import submission
from dashboard.pages.strategy_check import check_of
from dashboard.pages.strategy_texts import find_text, grouped_texts
from dashboard.uploaded_files import store_uploads
from dashboard.views.confirmation import confirm_submission
from dashboard.views.decorators import PageRequest, page
from operations import announced_forms
from operations.kind import Kind
from operations.models import Operation
from operations.presentation.forms import Form, fill_fields, form_data_of
from operations.received_files import MAX_FILE_BYTES
from operations.registered_kinds import all_kinds, find_kind, kind_of
from operations.type_limits import read_limits
from registry.models import Capability


@page
def new(request: PageRequest) -> HttpResponse:
    """Choose a kind of operation to submit."""
    own = [_choice(kind, kind.form.title, kind.description) for kind in all_kinds() if kind.form is not None]
    registered = [kind.operation_type for kind in all_kinds()]
    announced = Capability.objects.exclude(operation_type__in=registered).order_by("operation_type")
    descriptions = {row.operation_type: announced_forms.description_of(row) for row in announced}
    others = [_choice(kind_of(name), name, text) for name, text in descriptions.items()]
    return render(request, "submit/new.html", {"kinds": [*own, *others]})


def _choice(kind: Kind, title: str, description: str) -> dict[str, str]:
    availability = submit_preview.worker_availability(kind.operation_type).sentence
    return {
        "operation_type": kind.operation_type,
        "title": title,
        "description": description,
        "availability": availability,
    }


@accept_bodies(MAX_FILE_BYTES + FORM_OVERHEAD)
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def submit(request: PageRequest, kind: str) -> HttpResponse:
    """Show the form. A POST is sent to the API; if it fails, the form returns with its data and the errors."""
    kind_with_form = _kind_with_form(kind)
    if kind != kind_with_form.operation_type:
        url = reverse("dashboard:new_operation", args=[kind_with_form.operation_type])
        query = f"?{request.GET.urlencode()}" if request.GET else ""
        return redirect(url + query, permanent=True, preserve_request=True)
    form = _form_of(kind_with_form)
    if request.method != "POST":
        return _form_page(request, kind_with_form, _initial_data(request, form), ApiResponse(200))
    form_data = _form_data(request.POST)
    key = form_data.get("idempotency_key", "")[:200]
    if form.preview_path and form_data.get("step") == "preview":
        response = forward_upload(request, form.preview_path)
        return _form_page(
            request, kind_with_form, form_data, response, _file_preview(kind_with_form, response)
        )
    if (refusal := store_uploads(request, form, form_data)) is not None:
        return _form_page(request, kind_with_form, form_data, refusal)
    if form.has_file:
        response = forward_upload(request, form.api_path, key)
    else:
        response = call_api(request, "POST", *submission(form, kind, form_data), key)
    if not response.is_success:
        return _form_page(request, kind_with_form, form_data, response)
    confirm_submission(request, "Submitted.")
    if seed_run_id := response.data.get("seed_run_id"):
        return redirect("dashboard:seed_run", seed_run_id)
    operation_id = str(response.data["operation_id"])
    if origin := form_data.get("cloned_from"):
        _link_to_origin(operation_id, origin)
    return redirect("dashboard:operation", operation_id)


def _kind_with_form(name: str) -> Kind:
    """Find a kind by its name. Raises Http404."""
    kind = find_kind(name) or kind_of(name)
    if kind.load_form() is None:
        raise Http404("Unknown kind of operation.")
    return kind


def _form_of(kind: Kind) -> Form:
    form = kind.load_form()
    assert form is not None, "only kinds with a form have a page"
    return form


def _link_to_origin(operation_id: str, origin: str) -> None:
    original = Operation.objects.filter(pk=origin.replace("\0", "")).first()
    Operation.objects.filter(pk=operation_id, cloned_from=None).update(cloned_from=original)


def _form_data(query: QueryDict) -> dict[str, str]:
    """Return the last value of each name; a ticked box follows its hidden "false"."""
    return {name: str(value) for name, value in query.items()}


def _initial_data(request: PageRequest, form: Form) -> dict[str, str]:
    """Read field values and a stored strategy from the query string."""
    names = {field.name for field in form.fields}
    form_data = {name: str(value) for name, value in request.GET.items() if name in names}
    if text := find_text(request.GET.get("strategy", "")):
        form_data["strategy_yaml"] = text
    return form_data


def _form_page(
    request: PageRequest,
    kind: Kind,
    form_data: Mapping[str, str],
    response: ApiResponse,
    file_preview: Mapping[str, Any] | None = None,
) -> HttpResponse:
    form = _form_of(kind)
    problems = [_locate(form, problem.within("operation")) for problem in response.problems]
    by_field: dict[str, list[str]] = {}
    for name, text in problems:
        by_field.setdefault(name, []).append(text)
    labels = {field.name: field.label for field in form.fields}
    suggestions = {**submit_preview.suggestions(), **kind.form_suggestions()}
    context = {
        "title": form.title,
        "submit_text": form.submit_text,
        "main_fields": fill_fields(form.main, form_data, by_field, suggestions),
        "folds": [
            {
                "title": fold.title,
                "fields": fill_fields(fold.fields, form_data, by_field, suggestions),
                "is_open": any(field.name in by_field for field in fold.fields),
            }
            for fold in form.folds
        ],
        "problems": [
            {"field": name if name in labels else "", "label": labels.get(name, ""), "text": text}
            for name, text in problems
        ],
        "multipart": form.has_file,
        "form": form,
        "has_editor": any(field.kind == "strategy" for field in form.main),
        "file_preview": file_preview,
        # The file that the preview has stored; a browser does not fill in a file again.
        "preview_id": response.data.get("preview") or form_data.get("preview", ""),
        "is_preview_unavailable": response.status == HTTPStatus.SERVICE_UNAVAILABLE,
        "is_filled": bool(form_data),
        "idempotency_key": form_data.get("idempotency_key") or secrets.token_urlsafe(16),
        "cloned_from": form_data.get("cloned_from", ""),
        "texts": grouped_texts(),
        **_preview_context(request, kind, form_data),
    }
    return render(request, "submit/form.html", context, status=_page_status(response))


def _locate(form: Form, problem: InputProblem) -> tuple[str, str]:
    """Return the field's name and the text; for an announced type with the place within the value of a parameter."""
    return locate(form, problem) if form.operation_type else (problem.name, problem.message)


def _file_preview(kind: Kind, response: ApiResponse) -> dict[str, Any] | None:
    """Return the context of the form's preview template; None if the file cannot be read."""
    if response.status != HTTPStatus.OK:
        return None
    first, last = response.data.get("first", []), response.data.get("last", [])
    ends = [{"title": "First bars", "bars": first}, {"title": "Last bars", "bars": last}]
    names = (str(response.data.get(name, "")) for name in ("symbol", "timeframe"))
    affected = affected_by_import(*names) if kind.imports_market_data else None
    return {**response.data, "ends": ends, "affected": affected}


def _page_status(response: ApiResponse) -> int:
    if response.is_success:
        return HTTPStatus.OK
    is_forbidden = response.status == HTTPStatus.FORBIDDEN
    return HTTPStatus.FORBIDDEN if is_forbidden else HTTPStatus.UNPROCESSABLE_ENTITY


@require_POST
@login_required
def preview(request: PageRequest, kind: str) -> HttpResponse:
    """Render the preview for the current input: strategy check, workers, market data, the request as code."""
    form_data = _form_data(request.POST)
    context = _preview_context(request, _kind_with_form(kind), form_data)
    context["check"] = check_of(request, form_data.get("strategy_yaml", ""))
    return render(request, "submit/preview.html", context)


def _preview_context(request: PageRequest, kind: Kind, form_data: Mapping[str, str]) -> dict[str, Any]:
    form = _form_of(kind)
    names = [field.name for field in form.fields if field.mark and field.mark[0] == "timeframe"]
    names = names if form.operation_type else ["symbols", "symbol"]
    text = next(filter(None, map(form_data.get, names)), "") or ""
    symbols = text.replace("\0", "").replace(",", " ").split()
    span = submit_preview.selected_coverage(symbols)
    covered = {row.data.symbol for row in span.rows}
    path, body = submission(form, kind.operation_type, form_data)
    address = request.build_absolute_uri(path)
    return {
        "availability": submit_preview.worker_availability(kind.operation_type),
        "limits": read_limits([kind.operation_type])[kind.operation_type],
        "span": span,
        "window": submit_preview.selected_window(
            span, form_data.get("start_date", ""), form_data.get("end_date", "")
        ),
        "seen": submit_preview.seen_window(
            span,
            kind.seen_period(form_data),
            form_data.get("start_date", ""),
            form_data.get("end_date", ""),
        ),
        "import_kinds": [kind for kind in all_kinds() if kind.imports_market_data],
        "missing_symbols": [symbol for symbol in symbols if symbol not in covered],
        "multipart": form.has_file,
        "reads_market_data": bool(names) and not form.has_file,
        "curl": "" if form.has_file else submit_preview.as_curl(address, body),
        "python": "" if form.has_file else submit_preview.as_python(address, body),
    }


@page
def clone(request: PageRequest, operation_id: str) -> HttpResponse:
    """Show the form of the operation's kind, filled with its parameters."""
    original = get_object_or_404(Operation, pk=operation_id)
    kind = kind_of(original.operation_type)
    if not kind.is_clonable or kind.load_form() is None:
        raise Http404("Operations of this type can only be submitted through the API.")
    form_data = {**form_data_of(_form_of(kind), original.parameters), "cloned_from": original.pk}
    request.path = reverse("dashboard:new_operation", args=[kind.operation_type])  # the form's target
    return _form_page(request, kind, form_data, ApiResponse(200))
