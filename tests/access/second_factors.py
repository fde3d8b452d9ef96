"""Users with an authenticator app, and their browsers."""

from django.contrib.auth.models import User
from django.test import Client
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from access.actors import Actor
from access.models import AuditEntry
from ktrdr_site.second_factor import factors

PASSWORD = "a-long-enough-password"
LOGIN, CODE, OWN = "/dashboard/login", "/dashboard/login/code", "/dashboard/second-factor"
STEP_S = 30


class App:
    """An authenticator app and the site's clock, which moves to the next code with each `next_code`."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now

    def code(self, user: User, steps: int = 0) -> str:
        device = TOTPDevice.objects.filter(user=user).latest("pk")
        totp = TOTP(device.bin_key)
        totp.time = self.now + steps * STEP_S
        return f"{totp.token():06}"

    def next_code(self, user: User) -> str:
        self.now += STEP_S
        return self.code(user)


def enrol(user: User, app: App) -> list[str]:
    """Give the user a second factor and return the recovery codes."""
    factors.start(user)
    return factors.confirm(user, app.next_code(user), Actor("test"))


def send_password(user: User, next_page: str = "") -> Client:
    browser = Client()
    response = browser.post(LOGIN, {"username": user.username, "password": PASSWORD, "next": next_page})
    assert response.status_code == 302
    return browser


def signed_in(user: User) -> Client:
    browser = Client()
    browser.force_login(user)
    return browser


def has_access(browser: Client) -> bool:
    """Return whether pages, API and the live parts of pages give the browser access; they must agree."""
    statuses = {
        browser.get("/dashboard/").status_code == 200,
        browser.get("/operations").status_code == 200,
        browser.get("/dashboard/", headers={"HX-Request": "true"}).status_code == 200,
    }
    assert len(statuses) == 1, statuses
    return statuses.pop()


def acts() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("act", flat=True))
