"""The submit forms and what is drawn beside them while one types."""

import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.pages import situation as reading
from dashboard.pages.strategies import newest, text_of
from dashboard.views.request import PageRequest, page
from dashboard.views.through_api import Answer, send, send_upload
from operations.kind import Kind, all_kinds, find_kind, kind_of
from operations.models import Operation
from operations.presentation.forms import Form, body_of, filled, typed_of
from registry.models import Capability

EXAMPLES = settings.BASE_DIR / "examples" / "strategies"


@page
def new(request: PageRequest) -> HttpResponse:
    kinds = [
        {"kind": kind, "situation": reading.worker_situation(kind.operation_type).sentence}
        for kind in all_kinds()
        if kind.form is not None
    ]
    known = [kind.operation_type for kind in all_kinds()]
    others = Capability.objects.exclude(operation_type__in=known).values_list("operation_type", flat=True)
    return render(request, "submit/new.html", {"kinds": kinds, "others": others.distinct()})


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def submit(request: PageRequest, kind: str) -> HttpResponse:
    """Show the form. A POST is sent to the API; when refused, the form returns with its text and the API's errors."""
    submitted = _kind_with_form(kind)
    if kind != submitted.operation_type:
        url = reverse("dashboard:new_operation", args=[submitted.operation_type])
        query = f"?{request.GET.urlencode()}" if request.GET else ""
        return redirect(url + query, permanent=True, preserve_request=True)
    form = _form_of(submitted)
    if request.method != "POST":
        return _form_page(request, submitted, _prefilled(request, form), Answer(200))
    typed = _typed(request.POST)
    key = typed.get("idempotency_key", "")[:200]
    if form.has_file:
        answer = send_upload(request, form.api_path, key)
    else:
        answer = send(request, "POST", form.api_path, body_of(form, typed), key)
    if not answer.is_good:
        return _form_page(request, submitted, typed, answer)
    operation_id = str(answer.data["operation_id"])
    if origin := typed.get("cloned_from"):
        _note_origin(operation_id, origin)
    messages.success(request, "Submitted.", extra_tags="submitted")  # upon which drafts are dropped
    return redirect("dashboard:operation", operation_id)


def _kind_with_form(name: str) -> Kind:
    """Raises Http404."""
    kind = find_kind(name)
    if kind is None or kind.form is None:
        raise Http404("There is no such form.")
    return kind


def _form_of(kind: Kind) -> Form:
    assert kind.form is not None, "only kinds with a form have a page"
    return kind.form


def _note_origin(operation_id: str, origin: str) -> None:
    original = Operation.objects.filter(pk=origin.replace("\0", "")).first()
    Operation.objects.filter(pk=operation_id, cloned_from=None).update(cloned_from=original)


def _typed(posted: QueryDict) -> dict[str, str]:
    """The last value of each name: a ticked box follows its hidden "false"."""
    return {name: str(value) for name, value in posted.items()}


def _prefilled(request: PageRequest, form: Form) -> dict[str, str]:
    """From the address: symbols, dates, a model, or a strategy that was used before."""
    names = {one.name for one in form.fields}
    typed = {name: str(value) for name, value in request.GET.items() if name in names}
    if (digest := request.GET.get("strategy")) and (text := strategy_text_of(digest)):
        typed["strategy_yaml"] = text
    return typed


def _form_page(request: PageRequest, kind: Kind, typed: Mapping[str, str], answer: Answer) -> HttpResponse:
    form = _form_of(kind)
    problems = answer.problems
    by_field: dict[str, list[str]] = {}
    for problem in problems:
        place = f"line {problem.line}: " if problem.line else ""
        by_field.setdefault(problem.name, []).append(place + problem.text)
    labels = {one.name: one.label for one in form.fields}
    suggestions = {**reading.suggestions(), **kind.form_suggestions()}
    context = {
        "title": form.title,
        "submit_text": form.submit_text,
        "main_fields": filled(form.main, typed, by_field, suggestions),
        "folds": [
            {
                "title": fold.title,
                "fields": filled(fold.fields, typed, by_field, suggestions),
                "is_open": any(one.name in by_field for one in fold.fields),
            }
            for fold in form.folds
        ],
        "problems": [
            {
                "field": problem.name if problem.name in labels else "",
                "label": labels.get(problem.name, ""),
                "text": f"line {problem.line}: {problem.text}" if problem.line else problem.text,
            }
            for problem in problems
        ],
        "multipart": form.has_file,
        "is_filled": bool(typed),
        "idempotency_key": typed.get("idempotency_key") or secrets.token_urlsafe(16),
        "cloned_from": typed.get("cloned_from", ""),
        "examples": [path.stem for path in sorted(EXAMPLES.glob("*.yaml"))],
        "earlier": newest(),
        **_preview_context(request, kind, typed),
    }
    return render(request, "submit/form.html", context, status=_page_status(answer))


def _page_status(answer: Answer) -> int:
    if answer.is_good:
        return HTTPStatus.OK
    refused = answer.status == HTTPStatus.FORBIDDEN
    return HTTPStatus.FORBIDDEN if refused else HTTPStatus.UNPROCESSABLE_ENTITY


@require_POST
@login_required
def preview(request: PageRequest, kind: str) -> HttpResponse:
    """What stands beside the form, for the text as it is now: strategy check, workers, data, the same as a program."""
    typed = _typed(request.POST)
    context = _preview_context(request, _kind_with_form(kind), typed)
    text = typed.get("strategy_yaml", "")
    if text.strip():
        context["check"] = _check(send(request, "POST", "/strategies/validate", {"strategy_yaml": text}))
    return render(request, "submit/preview.html", context)


def _check(answer: Answer) -> dict[str, Any]:
    errors = [
        {"line": one.line, "column": one.column, "message": one.text, "pointer": one.name}
        for one in answer.problems
    ]
    data = answer.data
    return {"errors": errors, **{name: data.get(name) for name in ("name", "inputs", "warnings")}}


def _preview_context(request: PageRequest, kind: Kind, typed: Mapping[str, str]) -> dict[str, Any]:
    form = _form_of(kind)
    wanted = typed.get("symbols") or typed.get("symbol") or ""
    symbols = wanted.replace("\0", "").replace(",", " ").split()
    span = reading.chosen_data(symbols)
    known = {row.data.symbol for row in span.rows}
    body = body_of(form, typed)
    address = request.build_absolute_uri(form.api_path)
    return {
        "situation": reading.worker_situation(kind.operation_type),
        "span": span,
        "window": reading.window(span, typed.get("start_date", ""), typed.get("end_date", "")),
        "import_kinds": [kind for kind in all_kinds() if kind.imports_market_data],
        "missing_symbols": [symbol for symbol in symbols if symbol not in known],
        "multipart": form.has_file,
        "curl": "" if form.has_file else reading.as_curl(address, body),
        "python": "" if form.has_file else reading.as_python(address, body),
    }


@page
def clone(request: PageRequest, operation_id: str) -> HttpResponse:
    """The form of its kind, filled with what it was submitted with."""
    original = get_object_or_404(Operation, pk=operation_id)
    kind = kind_of(original.operation_type)
    if not kind.is_clonable:
        raise Http404("Operations of this type are submitted through the API.")
    typed = {**typed_of(_form_of(kind), original.parameters), "cloned_from": original.pk}
    request.path = reverse("dashboard:new_operation", args=[kind.operation_type])  # where the form is sent to
    return _form_page(request, kind, typed, Answer(200))


@page
def strategy_text(request: PageRequest) -> HttpResponse:
    """The text of an example (`?of=example:NAME`) or of a strategy used before (`?of=DIGEST`)."""
    text = strategy_text_of(request.GET.get("of", ""))
    if text is None:
        raise Http404("There is no such strategy.")
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


def strategy_text_of(name: str) -> str | None:
    if name.startswith("example:"):
        paths = {path.stem: path for path in EXAMPLES.glob("*.yaml")}
        path = paths.get(name.removeprefix("example:"))
        return path.read_text() if path else None
    return text_of(quote(name))
