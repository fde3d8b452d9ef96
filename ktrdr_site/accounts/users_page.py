"""The page on which staff create users, choose their roles, deactivate them and sign them out."""

from collections.abc import Callable
from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from access.actors import Actor
from access.roles import Role, role_of
from dashboard.views.decorators import PageRequest, page, require_role
from ktrdr_site.accounts import people
from ktrdr_site.accounts.people import AccountProblem
from ktrdr_site.second_factor import factors


@page
@require_role(Role.STAFF)
def users(request: PageRequest) -> HttpResponse:
    return _page(request)


@never_cache
@require_POST
@login_required
@require_role(Role.STAFF)
def create_user(request: PageRequest) -> HttpResponse:
    """Create a user and show the password in this response only."""
    name = request.POST.get("name", "")
    try:
        role = _role(request.POST.get("role", ""))
        password = people.create(name, role, Actor.from_request(request))
    except AccountProblem as problem:
        return _page(request, problem=str(problem))
    return _page(request, created=name.strip(), password=password)


@require_POST
@login_required
@require_role(Role.STAFF)
def change_user(request: PageRequest, user_id: int, act: str) -> HttpResponse:
    """Set a role, deactivate, activate or sign out the user, or reset their second factor."""
    if act not in ACTS:
        raise Http404("Unknown action.")
    user = get_object_or_404(User, pk=user_id)
    try:
        messages.success(request, ACTS[act](request, user))
    except AccountProblem as problem:
        messages.error(request, str(problem))
    return redirect("users")


def _set_role(request: PageRequest, user: User) -> str:
    role = _role(request.POST.get("role", ""))
    people.set_role(user, role, Actor.from_request(request))
    return f"{user.username} has the role {role.group}."


def _deactivate(request: PageRequest, user: User) -> str:
    people.deactivate(user, Actor.from_request(request))
    return f"{user.username} is deactivated; sessions and API tokens no longer work."


def _activate(request: PageRequest, user: User) -> str:
    people.activate(user, Actor.from_request(request))
    return f"{user.username} is active again."


def _sign_out(request: PageRequest, user: User) -> str:
    number = people.sign_out_everywhere(user, Actor.from_request(request))
    return f"{user.username} is signed out ({number} session{'' if number == 1 else 's'})."


def _reset_second_factor(request: PageRequest, user: User) -> str:
    """Refuse one's own: a stolen session must not remove what it cannot prove. Raises AccountProblem."""
    people.refuse_superuser(user)
    if user == request.user:
        raise AccountProblem("Remove your own second factor on your page, with a code.")
    if factors.reset(user, Actor.from_request(request)):
        return f"The second factor of {user.username} is removed, and their sessions have ended."
    return f"{user.username} has no second factor."


ACTS: dict[str, Callable[[PageRequest, User], str]] = {
    "role": _set_role,
    "deactivate": _deactivate,
    "activate": _activate,
    "sign-out": _sign_out,
    "reset-second-factor": _reset_second_factor,
}


def _role(name: str) -> Role:
    """Raises AccountProblem."""
    role = next((role for role in Role if role.group == name), None)
    if role is None:
        raise AccountProblem(f"Choose a role: {', '.join(role.group for role in Role)}.")
    return role


def _page(request: PageRequest, problem: str = "", created: str = "", password: str = "") -> HttpResponse:
    rows = factors.with_factor(User.objects.order_by("username").prefetch_related("groups"))
    context = {
        "people": [(user, _role_from(user).group) for user in rows],
        "roles": [role.group for role in Role],
        "problem": problem,
        "created": created,
        "password": password,
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK
    return render(request, "users.html", context, status=status)


def _role_from(user: User) -> Role:
    """Return the user's role from the prefetched groups."""
    if user.is_superuser or user.is_staff:
        return role_of(user)
    groups = {group.name for group in user.groups.all()}
    return max((role for role in Role if role.group in groups), default=Role.VIEWER)


urlpatterns = [
    path("users", users, name="users"),
    path("users/create", create_user, name="create_user"),
    path("users/<int:user_id>/<slug:act>", change_user, name="change_user"),
]
