"""The page on which users set up, renew and remove their own second factor. Keys and codes are shown once."""

from base64 import b32encode
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from access import throttling
from access.actors import Actor
from dashboard.views.decorators import PageRequest, page
from ktrdr_site.second_factor import factors
from ktrdr_site.second_factor.enforcement import VERIFIED, is_required
from ktrdr_site.second_factor.factors import FactorProblem


@page
def second_factor(request: PageRequest) -> HttpResponse:
    return _page(request)


@sensitive_post_parameters()
@never_cache
@require_POST
@login_required
def change_second_factor(request: PageRequest, act: str) -> HttpResponse:
    if act not in ACTS:
        raise Http404("Unknown action.")
    try:
        return ACTS[act](request)
    except FactorProblem as problem:
        return _page(request, problem=str(problem), is_confirming=act == "confirm")


def _start(request: PageRequest) -> HttpResponse:
    """Show a new key, in this response only. A stolen session is not enough: the password is needed."""
    _check(request, throttling.PASSWORD_BY_USER, request.user.check_password, "password")
    device = factors.start(request.user)
    return _page(
        request,
        is_confirming=True,
        qr_code=mark_safe(factors.qr_code(device)),  # noqa: S308  (drawn from modules of a QR code only)
        key=b32encode(device.bin_key).decode(),
    )


def _confirm(request: PageRequest) -> HttpResponse:
    """Other sessions of the user end with this, because they gave no second factor."""
    codes = factors.confirm(request.user, request.POST.get("code", ""), Actor.from_request(request))
    request.session[VERIFIED] = True
    return _page(request, codes="\n".join(codes))


def _renew(request: PageRequest) -> HttpResponse:
    _check_code(request)
    codes = factors.renew_recovery_codes(request.user, Actor.from_request(request))
    return _page(request, codes="\n".join(codes))


def _remove(request: PageRequest) -> HttpResponse:
    _check_code(request)
    factors.remove(request.user, Actor.from_request(request))
    messages.success(request, "Your second factor is removed.")
    return redirect("second_factor")


ACTS: dict[str, Callable[[PageRequest], HttpResponse]] = {
    "start": _start,
    "confirm": _confirm,
    "codes": _renew,
    "remove": _remove,
}


def _check_code(request: PageRequest) -> None:
    actor = Actor.from_request(request)
    _check(request, throttling.CODE_BY_USER, lambda code: factors.verify(request.user, code, actor), "code")


def _check(
    request: PageRequest, limit: throttling.Limit, is_right: Callable[[str], bool], field: str
) -> None:
    """Check a secret of the form, unless too many were wrong. Raises FactorProblem."""
    bucket = [(limit, str(request.user.pk))]
    if wait_s := throttling.take(bucket):
        raise FactorProblem(f"Too many failed attempts. Try again in {wait_s} seconds.")
    if not is_right(request.POST.get(field, "")):
        raise FactorProblem(f"This {field} is wrong.")
    throttling.give_back(bucket)


def _page(request: PageRequest, problem: str = "", **shown: Any) -> HttpResponse:
    user = request.user
    context = {
        "has_factor": factors.has_factor(user),
        "codes_left": factors.codes_left(user),
        "is_required": is_required(user),
        "problem": problem,
        **shown,
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK
    return render(request, "second_factor.html", context, status=status)


urlpatterns = [
    path("second-factor", second_factor, name="second_factor"),
    path("second-factor/<slug:act>", change_second_factor, name="change_second_factor"),
]
