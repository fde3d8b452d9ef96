"""The API in a browser: pages for every address and every user."""

from typing import Any

import pytest
from django.test import Client

from tests.browser.population import populate

pytestmark = pytest.mark.django_db
IN_BROWSER = {"HTTP_ACCEPT": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def ids(staff: Any) -> dict[str, str]:
    return populate(staff)


def test_an_anonymous_user_gets_a_link_to_the_sign_in_page(client: Client) -> None:
    answer = client.get("/operations?limit=5", **IN_BROWSER)
    assert answer.status_code == 401
    assert answer.headers["Content-Type"].startswith("text/html")
    assert b'href="/dashboard/login?next=/operations%3Flimit%3D5"' in answer.content
    assert b"data-method" not in answer.content


def test_a_viewer_sees_no_form_that_would_be_refused(
    client: Client, ids: dict[str, str], django_user_model: Any
) -> None:
    client.force_login(django_user_model.objects.create_user("reader"))
    answer = client.get("/operations", **IN_BROWSER)
    assert answer.status_code == 200
    assert b'data-method="POST"' not in answer.content


@pytest.mark.parametrize(
    "address",
    [
        "/operations",
        "/operations/{running}",
        "/operations/{running}/logs",
        "/operations/{running}/cancel",
        "/operations/{failed}/retry",
        "/operations/none",
        "/operations?limit=none",
        "/training/start",
        "/backtests/start",
        "/strategies/validate",
        "/strategies/catalog",
        "/workers",
        "/workers/training-01",
        "/workers/training-01/cordon",
        "/workers/register",
        "/market-data",
        "/market-data/AAPL/1d",
        "/tokens",
        "/enrolment-tokens",
        "/artifacts/0123",
    ],
)
def test_every_address_is_a_page_without_inline_script_or_style(
    client: Client, staff: Any, ids: dict[str, str], address: str
) -> None:
    client.force_login(staff)
    answer = client.get(address.format(**ids), **IN_BROWSER)
    assert answer.status_code < 500
    assert answer.headers["Content-Type"].startswith("text/html")
    text = answer.content.decode()
    assert "<h1>" in text
    assert " style=" not in text
    assert "<style" not in text
    assert "<script>" not in text
    assert "Django REST framework" not in text
