"""Forms and buttons call the API as the user, and show its errors beside the form data.

The API is replaced by a view that records requests; its rules are tested elsewhere.
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
from tests.browser.sample_operations import STRATEGY, create_operation

pytestmark = pytest.mark.urls(__name__)

REQUESTS: list[dict[str, Any]] = []
ERRORS = [
    {"pointer": "/strategy_yaml/indicators", "detail": "unknown indicator 'rsx'", "line": 10},
    {"pointer": "/end_date", "detail": "is before start_date"},
]


@api_view(["POST", "DELETE"])
def record(request: Request, **names: str) -> Response:
    REQUESTS.append(
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
        return Response({"title": "Invalid", "status": 422, "errors": ERRORS}, status=422)
    if names.get("operation_id") == "ended":
        return Response({"title": "Conflict", "detail": "It has completed meanwhile."}, status=409)
    if "ids" in request.data:
        skipped = [{"operation_id": "ended", "reason": "It has completed meanwhile."}]
        counts = {"matched": 2, "changed": 1, "skipped": 1, "remaining": 0}
        return Response({**counts, "skipped_operations": skipped})
    return Response({"operation_id": Operation.objects.values_list("pk", flat=True)[0]}, status=202)


@api_view(["POST"])
def show_preview(request: Request) -> Response:
    REQUESTS.append({"preview": True, "body": request.data})
    if request.data.get("symbol") == "BUSY":
        return Response(
            {"title": "Unavailable", "status": 503, "detail": "No worker is available."}, status=503
        )
    if request.data.get("symbol") == "BAD":
        errors = [{"pointer": "/timezone", "detail": "set timezone to America/New_York or UTC"}]
        return Response({"title": "Invalid", "status": 422, "errors": errors, "preview": "kept"}, status=422)
    choice = {"value": "UTC", "reason": "the file has instants", "runner_up": ""}
    row = {
        "time": "2024-01-02T00:00:00Z",
        "local_time": "2024-01-02 00:00",
        "open": 1.25,
        "high": 2.0,
        "low": 1.0,
        "close": 1.5,
        "volume": 7.0,
    }
    return Response(
        {
            "preview": "kept",
            "symbol": "AAPL",
            "timeframe": "1d",
            "layout": "yahoo",
            "encoding": "UTF-8",
            "times": "YYYY-MM-DD",
            "timezone": choice,
            "stamped": choice,
            "calendar": choice,
            "notes": ["2 lines above the header skipped"],
            "warnings": ["5.1% are missing"],
            "ignored_columns": [],
            "rows": 9,
            "local_zone": "UTC",
            "first": [row],
            "last": [row],
        }
    )


urlpatterns = [
    path("market-data/preview", show_preview),
    path("training/start", record),
    path("market-data", record),
    path("operations/<str:operation_id>/<str:act>", record),
    path("operations/<str:act>", record),
    path("workers/<str:worker_id>/cordon", record),
    path("dashboard/login", LoginView.as_view(), name="login"),
    path("dashboard/password", record, name="change_password"),
    path("dashboard/second-factor", record, name="second_factor"),
    path("dashboard/users", record, name="users"),
    path("dashboard/secrets", record, name="secrets"),
    path("docs/", record, name="documentation"),
    path("docs/<slug:document>", record, name="document"),
    path("dashboard/logout", LogoutView.as_view(), name="logout"),
    path("dashboard/", include("dashboard.urls")),
    path("admin/", admin.site.urls),
]


@pytest.fixture
def browser(staff: Any) -> Client:
    REQUESTS.clear()
    create_operation(staff, "training", "FAILED", worker_id="w-1", error_class="job")
    client = Client()
    client.force_login(staff)
    return client


def test_a_form_sends_only_changed_fields(browser: Client) -> None:
    form_data = {
        "strategy_yaml": STRATEGY.replace("\n", "\r\n"),
        "symbols": "AAPL, IBM",
        "seed": "42",
        "queue": "false",
        "prefer_gpu": "true",
        "idempotency_key": "k1",
    }
    response = browser.post("/dashboard/new/training", form_data)
    assert response.status_code == 302
    assert REQUESTS[0]["body"] == {"strategy_yaml": STRATEGY, "symbols": ["AAPL", "IBM"], "queue": False}
    assert (REQUESTS[0]["user"], REQUESTS[0]["key"]) == ("operator", "k1")


def test_a_rejected_form_keeps_its_text_and_shows_each_error_beside_its_field(browser: Client) -> None:
    form_data = {"strategy_yaml": "name: <mine>", "start_date": "2001-01-01", "end_date": "1999-01-01"}
    response = browser.post("/dashboard/new/training", form_data)
    text = response.content.decode()
    assert response.status_code == 422
    assert "name: &lt;mine&gt;" in text
    assert 'value="2001-01-01"' in text
    assert '<a href="#id_end_date">To</a>: is before start_date' in text
    assert "line 10: unknown indicator" in text


def test_an_invalid_number_is_sent_unchanged(browser: Client) -> None:
    browser.post("/dashboard/new/training", {"strategy_yaml": "x", "seed": "many"})
    assert REQUESTS[0]["body"]["seed"] == "many"


def test_an_upload_is_forwarded_to_the_api(browser: Client) -> None:
    form_data = {"symbol": "AAPL", "timeframe": "1d", "idempotency_key": "k2", "file": BytesIO(b"Date,Open")}
    response = browser.post("/dashboard/new/data_import", form_data, headers={"accept": "text/html"})
    assert response.status_code == 302
    assert response.headers["Location"] == f"/dashboard/operations/{Operation.objects.get().pk}"
    assert (REQUESTS[0]["body"]["symbol"], REQUESTS[0]["key"]) == ("AAPL", "k2")


def test_a_preview_is_shown_and_the_import_then_names_it(browser: Client) -> None:
    """The file is sent once: a browser does not fill in a file again."""
    empty = browser.get("/dashboard/new/data_import").content.decode()
    assert 'value="preview"' in empty
    assert ">Import<" not in "".join(empty.split())
    form_data = {"symbol": "AAPL", "timeframe": "1d", "step": "preview", "file": BytesIO(b"Date,Open")}
    text = browser.post("/dashboard/new/data_import", form_data).content.decode()
    assert REQUESTS[0]["preview"]
    for shown in (
        "Preview of AAPL 1d",
        "5.1% are missing",
        "2 lines above the header",
        "2024-01-02T00:00:00Z",
        "1.25",
    ):
        assert shown in text
    assert '<input type="hidden" name="preview" value="kept">' in text
    response = browser.post(
        "/dashboard/new/data_import", {"symbol": "AAPL", "timeframe": "1d", "preview": "kept"}
    )
    assert response.status_code == 302
    assert (REQUESTS[1]["method"], REQUESTS[1]["body"]["preview"]) == ("POST", "kept")


def test_a_preview_that_is_refused_keeps_the_file_and_names_the_option(browser: Client) -> None:
    form_data = {"symbol": "BAD", "timeframe": "1h", "step": "preview", "file": BytesIO(b"x")}
    response = browser.post("/dashboard/new/data_import", form_data)
    text = response.content.decode()
    assert response.status_code == 422
    assert 'href="#id_timezone"' in text
    assert "set timezone to America/New_York or UTC" in text
    assert 'name="preview" value="kept"' in text
    assert "without a preview" not in text


def test_an_import_without_a_preview_is_offered_while_no_worker_is_idle(browser: Client) -> None:
    form_data = {"symbol": "BUSY", "timeframe": "1d", "step": "preview", "file": BytesIO(b"x")}
    text = browser.post("/dashboard/new/data_import", form_data).content.decode()
    assert "No worker is available." in text
    assert "Import without a preview" in " ".join(text.split())


def test_a_clone_is_filled_with_the_parameters_of_its_original(browser: Client) -> None:
    original = Operation.objects.get()
    text = browser.get(f"/dashboard/operations/{original.pk}/clone").content.decode()
    assert 'value="AAPL IBM MSFT"' in text
    assert "name: momentum_daily" in text
    assert f'name="cloned_from" value="{original.pk}"' in text


@pytest.mark.parametrize(("act", "method"), [("cancel", "DELETE"), ("retry", "POST"), ("resume", "POST")])
def test_a_button_calls_the_api_as_the_user(browser: Client, act: str, method: str) -> None:
    response = browser.post(f"/dashboard/operations/x1/act/{act}")
    assert response.status_code == 302
    assert (REQUESTS[0]["method"], REQUESTS[0]["path"], REQUESTS[0]["user"]) == (
        method,
        f"/operations/x1/{act}",
        "operator",
    )


def test_acting_on_an_outdated_page_shows_the_error(browser: Client) -> None:
    row = Operation.objects.get()
    browser.post("/dashboard/operations/ended/act/cancel")
    assert "It has completed meanwhile." in browser.get(f"/dashboard/operations/{row.pk}").content.decode()


def test_selected_operations_are_acted_on_with_one_call(browser: Client) -> None:
    form_data = {"act": "cancel", "operation": ["a", "ended"], "next": "//evil.example/"}
    response = browser.post("/dashboard/act", form_data)
    (request,) = REQUESTS
    assert (request["path"], request["body"]) == ("/operations/cancel", {"ids": ["a", "ended"]})
    assert response.headers["Location"] == "/dashboard/operations"
    page = browser.get("/dashboard/operations").content.decode()
    assert "Cancel: 1 of 2 operations." in page
    assert "ended: It has completed meanwhile." in page


def test_the_admin_cancels_through_the_api(browser: Client, staff: Any) -> None:
    staff.is_superuser = True
    staff.save()
    row = Operation.objects.get()
    browser.post("/admin/operations/operation/", {"action": "cancel_chosen", "_selected_action": [row.pk]})
    assert REQUESTS[0]["path"] == f"/operations/{row.pk}/cancel"


def test_a_form_from_another_site_is_rejected(staff: Any) -> None:
    REQUESTS.clear()
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff)
    assert client.post("/dashboard/operations/x1/act/cancel").status_code == 403
    refused = client.post(
        "/dashboard/new/training",
        {"strategy_yaml": "x"},
        HTTP_REFERER="http://testserver/dashboard/new/training",
    )
    assert refused.status_code == 403
    assert "This form has expired" in refused.content.decode()
    assert not REQUESTS
