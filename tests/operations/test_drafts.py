"""Each long form keeps a draft in the browser: its page marks it, and says when the input was accepted."""

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from operations.actors import Actor
from operations.labels import Labels, label
from tests.browser.population import populate
from tests.browser.test_every_page import addresses
from tests.page_forms import Form, read_forms

pytestmark = pytest.mark.django_db

MANY = 5
"""Fields that are too many to enter again."""
NOT_KEPT = {"/dashboard/secrets/save": "a secret does not belong into the storage of a browser"}
LONG = {
    "submit-form", "strategy-form", "study-form", "schedule-form", "seed-run-form", "labels-form", "tag-form",
}  # fmt: skip
EMPTY, FILLED = "empty", "filled"


@pytest.fixture
def ids(staff: Any) -> dict[str, str]:
    cache.clear()
    ids = populate(staff)
    label(ids["trained"], Labels(tags=["trend"]), Actor("test"))
    return ids


@pytest.fixture
def browser(client: Client, staff: Any) -> Client:
    client.force_login(staff)
    return client


def is_long(form: Form) -> bool:
    return bool(form.addresses) and (form.has_text or len(form.entries) >= MANY)


def form_of(page: str, name: str) -> Form:
    (form,) = [form for form in read_forms(page) if form.id == name]
    return form


def test_every_long_form_keeps_a_draft(browser: Client, ids: dict[str, str]) -> None:
    seen = set()
    with_forms = [address for address in addresses(ids) if address.startswith("/dashboard/")]
    for address in (*with_forms, "/dashboard/tags/trend"):
        page = browser.get(address).content.decode()
        for form in filter(is_long, read_forms(page)):
            action = form.attributes.get("action", "")
            if action in NOT_KEPT:
                continue
            about = f"{address}: {form.attributes}"
            assert form.attributes.get("data-draft") in (EMPTY, FILLED), about
            assert form.id, about
            assert action.startswith("/"), f"{about}: a query of the page would be part of the draft's name"
            assert "js/drafts" in page, about
            seen.add(form.id)
    assert seen == LONG


@pytest.mark.parametrize(
    ("address", "name", "refused"),
    [
        ("new/training", "submit-form", {"strategy_yaml": "name: ["}),
        ("strategies/new", "strategy-form", {"strategy_yaml": "name: ["}),
        ("strategies/ma_cross", "strategy-form", {"strategy_yaml": "name: ["}),
        ("strategies/form", "strategy-form", {"name": "ma_cross", "step": "save"}),
        ("studies/new", "study-form", {"study_yaml": "study: [", "step": "plan"}),
        ("schedules/new", "schedule-form", {"cron": "never"}),
        ("schedules/{schedule}", "schedule-form", {"cron": "never"}),
        ("seed-runs/new", "seed-run-form", {"operation": "{"}),
    ],
)
def test_input_that_the_server_shows_again_takes_precedence(
    browser: Client, ids: dict[str, str], address: str, name: str, refused: dict[str, str]
) -> None:
    form = form_of(browser.get(f"/dashboard/{address.format(**ids)}").content.decode(), name)
    assert form.attributes["data-draft"] == EMPTY
    response = browser.post(form.attributes["action"], {**form.fields, **refused})
    again = form_of(response.content.decode(), name)
    assert again.attributes["data-draft"] == FILLED
    assert again.attributes["action"] == form.attributes["action"]


@pytest.mark.parametrize(
    ("address", "name", "entered"),
    [
        ("operations/{trained}", "labels-form", {"note": "a note"}),
        ("strategies/ma_cross", "labels-form", {"note": "a note"}),
        ("strategies/ma_cross", "strategy-form", {"change": "none"}),
        ("strategies/form?of=ma_cross", "strategy-form", {"step": "save"}),
        ("tags/trend", "tag-form", {"note": "a note"}),
        ("schedules/{schedule}", "schedule-form", {"cron": "0 4 * * *"}),
    ],
)
def test_an_accepted_form_deletes_its_draft(
    browser: Client, ids: dict[str, str], address: str, name: str, entered: dict[str, str]
) -> None:
    form = form_of(browser.get(f"/dashboard/{address.format(**ids)}").content.decode(), name)
    response = browser.post(form.attributes["action"], {**form.fields, **entered}, follow=True)
    assert response.redirect_chain
    assert "data-submitted" in response.content.decode()
