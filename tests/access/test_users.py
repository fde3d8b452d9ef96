"""Staff manage users, but nobody gains more than they have; everybody changes their own password."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from access.models import AuditEntry
from access.roles import Role, role_of
from ktrdr_site.accounts import people
from ktrdr_site.models import ApiToken
from tests.access.callers import bearer, member

pytestmark = pytest.mark.django_db
USERS = "/dashboard/users"
OLD, NEW = "a-long-enough-password", "another-quite-long-one"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def staff_browser() -> Client:
    return signed_in(member("staff"))


def reload(user: User) -> User:
    return User.objects.get(pk=user.pk)


def act(browser: Client, user: User, name: str, **form: str) -> Any:
    return browser.post(f"{USERS}/{user.pk}/{name}", form, follow=True)


@pytest.mark.parametrize("role", Role)
def test_a_created_user_signs_in_with_the_password_that_is_shown_once(
    staff_browser: Client, role: Role
) -> None:
    response = staff_browser.post(f"{USERS}/create", {"name": " new.user ", "role": role.group})
    assert response.status_code == 200, (response.status_code, response.content[:300])
    password = response.context["password"]
    assert password in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    assert password not in staff_browser.get(USERS).content.decode()
    assert (
        Client().post("/dashboard/login", {"username": "new.user", "password": password}).status_code == 302
    )
    user = User.objects.get(username="new.user")
    assert role_of(user) is role
    assert not user.is_superuser
    assert not user.is_staff
    entry = AuditEntry.objects.get(act="user_created")
    assert (entry.subject, entry.actor, entry.reason) == ("new.user", "user:a-staff", role.group)


@pytest.mark.parametrize("name", ["", " ", "a b", "<b>", "a\x00b", "x" * 151, "a-staff", "../x", "a\u202eb"])
def test_an_invalid_or_taken_name_is_refused_in_one_sentence(staff_browser: Client, name: str) -> None:
    response = staff_browser.post(f"{USERS}/create", {"name": name, "role": "viewer"})
    assert response.status_code == 422
    assert response.context["problem"].endswith(".")
    assert User.objects.count() == 1


@pytest.mark.parametrize("role", ["", "superuser", "STAFF", "admin"])
def test_only_a_role_of_the_product_can_be_given(staff_browser: Client, role: str) -> None:
    assert staff_browser.post(f"{USERS}/create", {"name": "x", "role": role}).status_code == 422
    user = member("viewer")
    act(staff_browser, user, "role", role=role)
    assert role_of(reload(user)) is Role.VIEWER


@pytest.mark.parametrize("role", Role)
def test_a_role_replaces_the_one_before(staff_browser: Client, role: Role) -> None:
    user = member("operator")
    act(staff_browser, user, "role", role=role.group)
    assert [group.name for group in reload(user).groups.all()] == [role.group]
    assert AuditEntry.objects.get(act="user_role_changed").reason == role.group


def test_a_deactivated_user_has_no_access_at_once_and_gets_it_back(staff_browser: Client) -> None:
    user = member("operator")
    browser, token = signed_in(user), bearer(ApiToken.issue(user))
    assert token.get("/operations").status_code == 200
    act(staff_browser, user, "deactivate")
    assert browser.get("/dashboard/").status_code == 302
    assert token.get("/operations").status_code == 401
    assert Client().post("/dashboard/login", {"username": user.username, "password": OLD}).status_code == 200
    act(staff_browser, user, "activate")
    assert token.get("/operations").status_code == 200
    assert browser.get("/dashboard/").status_code == 302, "its sessions are gone"
    assert list(AuditEntry.objects.order_by("pk").values_list("act", flat=True))[-1] == "user_activated"


def test_signing_out_ends_every_session_of_this_user_only(staff_browser: Client) -> None:
    user, other = member("operator"), member("viewer")
    browsers = [signed_in(user) for _ in range(3)]
    others = signed_in(other)
    page = act(staff_browser, user, "sign-out").content.decode()
    assert "a-operator is signed out (3 sessions)." in page
    assert {browser.get("/dashboard/").status_code for browser in browsers} == {302}
    assert others.get("/dashboard/").status_code == 200
    assert staff_browser.get("/dashboard/").status_code == 200


@pytest.mark.parametrize("name", ["role", "deactivate", "activate"])
def test_staff_cannot_change_a_superuser_or_lock_themselves_out(staff_browser: Client, name: str) -> None:
    root = User.objects.create_superuser("root", password=OLD)
    page = act(staff_browser, root, name, role="viewer").content.decode()
    assert "root is a superuser" in page
    own = User.objects.get(username="a-staff")
    act(staff_browser, own, "deactivate")
    assert reload(own).is_active
    assert reload(root).is_active
    assert reload(root).groups.count() == 0


@pytest.mark.parametrize("path", [f"{USERS}/0/role", f"{USERS}/0/nothing"])
def test_an_unknown_user_or_action_is_not_found(staff_browser: Client, path: str) -> None:
    assert staff_browser.post(path).status_code == 404


def test_the_page_needs_as_many_queries_for_twenty_users_as_for_two(
    staff_browser: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        people.create(f"user-{number}", Role.OPERATOR, people.Actor("test"))
    staff_browser.get(USERS)
    with django_assert_max_num_queries(6):
        assert staff_browser.get(USERS).status_code == 200


# Own password -----------------------------------------------------------------------------------------------


def change(browser: Client, old: str = OLD, new: str = NEW, again: str | None = None) -> Any:
    form = {"old_password": old, "new_password1": new, "new_password2": new if again is None else again}
    return browser.post("/dashboard/password", form)


@pytest.mark.parametrize("role", [role.group for role in Role])
def test_everybody_changes_their_own_password_and_other_sessions_end(role: str) -> None:
    user = member(role)
    browser, other = signed_in(user), signed_in(user)
    assert change(browser).status_code == 302
    assert reload(user).check_password(NEW)
    assert browser.get("/dashboard/").status_code == 200
    assert other.get("/dashboard/").status_code == 302
    assert AuditEntry.objects.get(act="password_changed").subject == user.username


@pytest.mark.parametrize(
    "form",
    [{"old": "wrong"}, {"new": "short"}, {"new": "elevenchars"}, {"new": "123456789012"}, {"new": "passwordpassword"[:8]},
     {"again": "different-from-the-new"}],
    ids=str,
)  # fmt: skip
def test_a_weak_new_or_wrong_old_password_changes_nothing(form: dict[str, str]) -> None:
    user = member("viewer")
    response = change(signed_in(user), **form)
    assert response.status_code == 200
    assert response.context["form"].errors
    assert reload(user).check_password(OLD)
    assert not AuditEntry.objects.filter(act="password_changed").exists()


def test_guessing_the_old_password_in_a_stolen_session_is_slowed() -> None:
    user = member("viewer")
    browser = signed_in(user)
    for number in range(10):
        change(browser, old=f"wrong-{number}")
    assert "Too many wrong passwords" in change(browser).content.decode()
    assert reload(user).check_password(OLD)


# The command ------------------------------------------------------------------------------------------------


def test_the_command_creates_a_user_and_prints_the_password(capsys: Any) -> None:
    call_command("create_user", "anna", "--role", "operator", "--json")
    created = json.loads(capsys.readouterr().out)
    assert (created["user"], created["role"]) == ("anna", "operator")
    user = User.objects.get(username="anna")
    assert user.check_password(created["password"])
    assert role_of(user) is Role.OPERATOR
    with pytest.raises(CommandError, match="There is already a user anna"):
        call_command("create_user", "anna")
    with pytest.raises(CommandError, match="A user name has"):
        call_command("create_user", "a b")
