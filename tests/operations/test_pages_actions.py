"""Forms and buttons send the API what a program would, as the person, and show its refusal beside what was typed.

The API here is one view that notes what it was sent: the rules themselves are tested with the API.
"""

from io import BytesIO
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.test import Client
from django.urls import include, path
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from operations.models import Operation
from tests.browser.population import STRATEGY, operation

pytestmark = pytest.mark.urls(__name__)

SENT: list[dict[str, Any]] = []
REFUSALS = [
    {"pointer": "/strategy_yaml/indicators", "detail": "unknown indicator 'rsx'", "line": 10},
    {"pointer": "/end_date", "detail": "is before start_date"},
]


@api_view(["POST", "DELETE"])
def note(request: Request, **names: str) -> Response:
    SENT.append(
        {
            "method": request.method,
            "path": request.path,
            "query": dict(request.query_params.items()),
            "body": request.data,
            "user": request.user.get_username(),
            "key": request.headers.get("Idempotency-Key"),
        }
    )
    if isinstance(request.data, dict) and request.data.get("end_date") == "1999-01-01":
        return Response({"title": "Invalid", "status": 422, "errors": REFUSALS}, status=422)
    if names.get("operation_id") == "ended":
        return Response({"title": "Conflict", "detail": "It has completed meanwhile."}, status=409)
    return Response({"operation_id": Operation.objects.values_list("pk", flat=True)[0]}, status=202)


urlpatterns = [
    path("training/start", note),
    path("market-data", note),
    path("operations/<str:operation_id>/<str:act>", note),
    path("workers/<str:worker_id>/cordon", note),
    path("dashboard/login", LoginView.as_view(), name="login"),
    path("dashboard/logout", LogoutView.as_view(), name="logout"),
    path("dashboard/", include("dashboard.urls")),
    path("admin/", admin.site.urls),
]


@pytest.fixture
def browser(staff: Any) -> Client:
    SENT.clear()
    operation(staff, "training", "FAILED", worker_id="w-1", error_class="job")
    client = Client()
    client.force_login(staff)
    return client


def test_a_form_sends_what_was_changed_and_leaves_the_defaults_to_the_api(browser: Client) -> None:
    typed = {
        "strategy_yaml": STRATEGY.replace("\n", "\r\n"),
        "symbols": "AAPL, IBM",
        "seed": "42",
        "queue": "false",
        "prefer_gpu": "true",
        "idempotency_key": "k1",
    }
    answer = browser.post("/dashboard/new/training", typed)
    assert answer.status_code == 302
    assert SENT[0]["body"] == {"strategy_yaml": STRATEGY, "symbols": ["AAPL", "IBM"], "queue": False}
    assert (SENT[0]["user"], SENT[0]["key"]) == ("operator", "k1")


def test_a_refused_form_comes_back_with_its_text_and_each_error_beside_its_field(browser: Client) -> None:
    typed = {"strategy_yaml": "name: <mine>", "start_date": "2001-01-01", "end_date": "1999-01-01"}
    answer = browser.post("/dashboard/new/training", typed)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert "name: &lt;mine&gt;" in text
    assert 'value="2001-01-01"' in text
    assert '<a href="#id_end_date">To</a>: is before start_date' in text
    assert "line 10: unknown indicator" in text


def test_a_number_that_is_none_is_sent_as_it_was_typed(browser: Client) -> None:
    browser.post("/dashboard/new/training", {"strategy_yaml": "x", "seed": "many"})
    assert SENT[0]["body"]["seed"] == "many"


def test_a_file_is_sent_to_the_api_as_a_program_sends_it(browser: Client) -> None:
    typed = {"symbol": "AAPL", "timeframe": "1d", "idempotency_key": "k2", "file": BytesIO(b"Date,Open")}
    answer = browser.post("/dashboard/new/data_import", typed, headers={"accept": "text/html"})
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/dashboard/operations/{Operation.objects.get().pk}"
    assert (SENT[0]["body"]["symbol"], SENT[0]["key"]) == ("AAPL", "k2")


def test_a_clone_is_filled_with_what_its_origin_was_submitted_with(browser: Client) -> None:
    origin = Operation.objects.get()
    text = browser.get(f"/dashboard/operations/{origin.pk}/clone").content.decode()
    assert 'value="AAPL IBM MSFT"' in text
    assert "name: momentum_daily" in text
    assert f'name="cloned_from" value="{origin.pk}"' in text


@pytest.mark.parametrize(("act", "method"), [("cancel", "DELETE"), ("retry", "POST"), ("resume", "POST")])
def test_a_button_calls_the_api_as_the_person(browser: Client, act: str, method: str) -> None:
    answer = browser.post(f"/dashboard/operations/x1/act/{act}")
    assert answer.status_code == 302
    assert (SENT[0]["method"], SENT[0]["path"], SENT[0]["user"]) == (
        method,
        f"/operations/x1/{act}",
        "operator",
    )


def test_acting_on_a_page_that_is_out_of_date_says_so(browser: Client) -> None:
    row = Operation.objects.get()
    browser.post("/dashboard/operations/ended/act/cancel")
    assert "It has completed meanwhile." in browser.get(f"/dashboard/operations/{row.pk}").content.decode()


def test_several_chosen_operations_are_acted_on_one_by_one(browser: Client) -> None:
    typed = {"act": "cancel", "operation": ["a", "ended"], "next": "//evil.example/"}
    answer = browser.post("/dashboard/act", typed)
    assert [sent["path"] for sent in SENT] == ["/operations/a/cancel", "/operations/ended/cancel"]
    assert answer.headers["Location"] == "/dashboard/operations"


def test_the_admin_cancels_through_the_api(browser: Client, staff: Any) -> None:
    staff.is_superuser = True
    staff.save()
    row = Operation.objects.get()
    browser.post("/admin/operations/operation/", {"action": "cancel_chosen", "_selected_action": [row.pk]})
    assert SENT[0]["path"] == f"/operations/{row.pk}/cancel"


def test_a_form_from_another_site_is_refused(staff: Any) -> None:
    SENT.clear()
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff)
    assert client.post("/dashboard/operations/x1/act/cancel").status_code == 403
    assert client.post("/dashboard/new/training", {"strategy_yaml": "x"}).status_code == 403
    assert not SENT
