"""A page with a long form says when the input was refused, accepted or never entered.

`tests/browser/test_every_page.py` finds the long forms of all pages.
"""

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from operations.actors import Actor
from operations.labels import Labels, label
from tests.browser.population import populate
from tests.page_forms import Form, read_forms

pytestmark = pytest.mark.django_db

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


def form_of(page: str, name: str) -> Form:
    (form,) = [form for form in read_forms(page) if form.id == name]
    return form


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
