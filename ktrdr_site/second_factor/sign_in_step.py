"""The page that asks for the second factor after the password. Attempts are throttled like passwords."""

from http import HTTPStatus

import structlog
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from access import audit, throttling
from access.actors import Actor
from access.client_address import client_address
from access.models import AuditEntry
from ktrdr_site.accounts import device_cookie
from ktrdr_site.second_factor import factors, pending
from ktrdr_site.second_factor.enforcement import VERIFIED

log = structlog.get_logger(__name__)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_code(request: HttpRequest) -> HttpResponse:
    sign_in = pending.load(request)
    if sign_in is None:
        pending.forget(request)
        return redirect("login")
    user, target = sign_in
    if request.method != "POST":
        return _page(request)
    buckets = _buckets(request, user)
    if wait_s := throttling.take(buckets):
        response = _page(request, f"Too many failed attempts. Try again in {wait_s} seconds.")
        response.status_code = HTTPStatus.TOO_MANY_REQUESTS
        response["Retry-After"] = str(wait_s)
        return response
    address = client_address(request)
    if not factors.verify(user, request.POST.get("code", ""), Actor.person(user.username, user.pk, address)):
        audit.record(AuditEntry.Act.SECOND_FACTOR_FAILED, user.username, Actor("anonymous", address=address))
        log.warning("second factor failed", user=user.username, address=address)
        return _page(request, "This code is wrong, too old or already used.")
    throttling.give_back(buckets)
    return _complete(request, user, target)


def _complete(request: HttpRequest, user: User, target: str) -> HttpResponse:
    """Sign the user in, with the second factor given, and remember the browser."""
    pending.forget(request)
    login(request, user)
    request.session[VERIFIED] = True
    audit.record(AuditEntry.Act.SIGNED_IN, user.username, Actor.from_request(request), "second factor")
    response = redirect(target)
    device_cookie.remember(request, response, user.username)
    return response


def _buckets(request: HttpRequest, user: User) -> list[throttling.Bucket]:
    """Return the bucket of a known browser, else that of the user: knowing the password does not fill the owner's."""
    if device := device_cookie.device_of(request, user.username):
        return [(throttling.CODE_BY_DEVICE, device)]
    return [(throttling.CODE_BY_USER, str(user.pk))]


def _page(request: HttpRequest, problem: str = "") -> HttpResponse:
    return render(request, "registration/code.html", {"problem": problem})
