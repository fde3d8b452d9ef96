"""Pages of studies: list, form with the plan, and one study."""

import secrets
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.internal_api import ApiResponse, InputProblem, call_api
from dashboard.pages import studies as pages
from dashboard.pages.strategies import recent_strategies
from dashboard.pages.strategy_texts import find_text
from dashboard.pages.study_charts import charts_of
from dashboard.pages.study_parameters import searchable
from dashboard.pages.study_terms import FIGURES, OF_A_STUDY_FILE
from dashboard.pages.study_trial import trial_page
from dashboard.views.confirmation import confirm_submission
from dashboard.views.decorators import PageRequest, page
from studies.failures import errors_of
from studies.lifecycle import wall_s
from studies.models import Study, StudyTrial
from studies.serializers import counters, progress_of
from studies.states import LIVE, StudyStatus

ACTS = {
    "pause": "Paused: no more batches are submitted.",
    "resume": "Resumed.",
    "cancel": "Cancelled; finished trials are kept.",
    "extend": "Extended.",
    "promote": "Submitted the trial as ordinary operations.",
}
ACTS_BY_STATUS: dict[str, list[tuple[str, str]]] = {
    StudyStatus.RUNNING: [("pause", "Pause")],
    StudyStatus.PAUSED: [("resume", "Resume")],
}
EXTENDABLE = (StudyStatus.RUNNING, StudyStatus.PAUSED, StudyStatus.COMPLETED)
EXAMPLES_FOLDER = settings.BASE_DIR / "examples" / "studies"
EXAMPLES = {
    "moving_average_search": "moving_average_cross",
    "moving_average_walk_forward": "moving_average_cross",
}
"""The strategy of each example of a study."""
MORE_THAN_ANY_NUMBER = 2**31
FIELDS = {"strategy_yaml": "Strategy", "study_yaml": "Study", "model": "Model"}
SKELETON = """study: "1.0"
name: my_search
data: {until: 2009-12-31}
holdout: {from: 2008-01-01}
search:
  method: halton
  trials: 200
  seed: 7
  parameters:
objective: {metric: sharpe, at_least: {trades: 10}}
"""


@page
def studies(request: PageRequest) -> HttpResponse:
    return render(request, "studies/list.html", {"studies": pages.list_studies()})


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new_study(request: PageRequest) -> HttpResponse:
    """Show the form. A POST shows the plan first, and starts the study when its plan was seen."""
    values = {name: request.POST.get(name, "") for name in FIELDS}
    if request.method != "POST":
        return _form(request, values | _start_values(request), ApiResponse(200))
    body = {name: value for name, value in values.items() if value.strip()}
    if request.POST.get("step") != "start":
        return _form(request, values, call_api(request, "POST", "/studies/validate", body))
    key = request.POST.get("idempotency_key", "")[:200]
    response = call_api(request, "POST", "/studies", body, key).raise_if_forbidden()
    if not response.is_success:
        return _form(request, values, response)
    confirm_submission(request, "Started.")
    return redirect("dashboard:study", response.data["study_id"])


def _start_values(request: PageRequest) -> dict[str, str]:
    """Return an example (`?example=NAME`), or a skeleton for the strategy of `?strategy=NAME` or `DIGEST`."""
    example = request.GET.get("example", "")
    if example in EXAMPLES:
        study = (EXAMPLES_FOLDER / f"{example}.yaml").read_text()
        return {"study_yaml": study, "strategy_yaml": find_text(f"example:{EXAMPLES[example]}") or ""}
    return {"study_yaml": SKELETON, "strategy_yaml": find_text(request.GET.get("strategy", "")) or ""}


def _form(request: PageRequest, values: dict[str, str], response: ApiResponse) -> HttpResponse:
    context = {
        "values": values,
        "is_filled": request.method == "POST" or bool(request.GET),
        "plan": response.data if response.data.get("valid") else None,
        "problems": [
            {"label": FIELDS.get(problem.name, problem.name), "message": problem.message}
            for problem in response.problems
        ],
        "is_typing": request.POST.get("step") == "typing",
        "parameters": searchable(values["strategy_yaml"]),
        "idempotency_key": secrets.token_urlsafe(12),
        "examples": EXAMPLES,
        "earlier": recent_strategies(6),
        "terms": OF_A_STUDY_FILE,
    }
    return render(request, "studies/new.html", context)


@page
def study(request: PageRequest, study_id: str) -> HttpResponse:
    """One study. Its live part polls the counters only; a change of status, which changes the actions and at the end
    brings verdict and charts, reloads the page."""
    rows = Study.objects.select_related("created_by", "reporter").annotate(ran_s=wall_s())
    row = rows.filter(study_id=study_id).first()
    if row is None:
        raise Http404(f"Unknown study {study_id}.")
    context = {
        "study": row,
        "counters": counters(row),
        "progress": progress_of(row),
        "is_live": row.status in LIVE,
    }
    if request.htmx:
        response = render(request, "studies/detail_live.html", context)
        if request.GET.get("shown", row.status) != row.status:
            response["HX-Refresh"] = "true"
        return response
    drawn = charts_of(row, request.GET.get("x", ""), request.GET.get("y", ""))
    verdict = (row.report or {}).get("verdict", "")
    context |= {
        "acts": [
            *ACTS_BY_STATUS.get(row.status, ()),
            *([("cancel", "Cancel")] if context["is_live"] else []),
        ],
        "can_extend": row.status in EXTENDABLE,
        "board": pages.leaderboard(row, request.GET.get("order", "")),
        "batches": pages.batches_of(row),
        "errors": errors_of(row) if row.failed else [],
        "figures": pages.figures_of(row.report),
        "terms": FIGURES.values(),
        "verdict": verdict,
        "verdict_look": pages.VERDICTS.get(verdict),
        "drawn": drawn,
    }
    return render(request, "studies/detail.html", context)


@page
def study_trial(request: PageRequest, study_id: str, number: int) -> HttpResponse:
    rows = StudyTrial.objects.filter(study__study_id=study_id).select_related("study")
    trial = rows.filter(number=number).first() if number < MORE_THAN_ANY_NUMBER else None
    if trial is None:
        raise Http404(f"Study {study_id} has no trial {number}.")
    context = {"study": trial.study, "trial": trial, "shown": trial_page(trial.study, trial)}
    return render(request, "studies/trial.html", context)


@require_POST
@login_required
def study_act(request: PageRequest, study_id: str, act: str) -> HttpResponse:
    """Act on a study and show its page; if the page was outdated, with the API's error message."""
    if act not in ACTS:
        return HttpResponse(status=404)
    body = _act_body(request.POST, act)
    response = call_api(request, "POST", f"/studies/{quote(study_id)}/{act}", body).raise_if_forbidden()
    if response.is_success:
        messages.success(request, ACTS[act])
    else:
        messages.error(request, "; ".join(_sentence(problem) for problem in response.problems))
    if act == "promote" and response.is_success:
        return redirect("dashboard:operation", response.data["operations"][-1]["operation_id"])
    return redirect("dashboard:study", study_id)


def _act_body(fields: QueryDict, act: str) -> dict[str, Any]:
    """Return the body of the API's call: numbers as numbers, and other text as it is, for the API to refuse."""
    names = {"promote": ("number",), "extend": ("trials", "hours")}.get(act, ())
    texts = {name: str(fields.get(name, "")).strip() for name in names}
    return {name: _number(text) for name, text in texts.items() if text}


def _number(text: str) -> int | float | str:
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        return text


def _sentence(problem: InputProblem) -> str:
    return f"{problem.name}: {problem.text}" if problem.name else problem.text
