"""API tokens: valid, missing, unknown, revoked, or of an inactive user."""

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from rest_framework.test import APIClient

from ktrdr_site.models import ApiToken, token_digest

pytestmark = pytest.mark.django_db

PROTECTED = "/metrics"


def call(token: str) -> int:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return int(client.get(PROTECTED).status_code)


def test_a_token_authenticates_its_user(api: APIClient, person: User) -> None:
    response = api.get(PROTECTED)
    assert response.status_code == 200
    assert response.wsgi_request.user == person or response.renderer_context["request"].user == person


def test_without_credentials_it_is_401_and_names_the_scheme(client: APIClient) -> None:
    response = client.get(PROTECTED)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == 'Bearer realm="KTRDR"'


def test_unknown_revoked_and_inactive_are_401(person: User) -> None:
    token = ApiToken.issue(person)
    assert call("ktp_unknown") == 401
    assert call(token) == 200
    person.is_active = False
    person.save()
    assert call(token) == 401
    person.is_active = True
    person.save()
    ApiToken.objects.update(revoked_at=Now())
    assert call(token) == 401


def test_a_worker_token_is_not_an_api_token(person: User) -> None:
    assert call("ktw_" + ApiToken.issue(person).removeprefix("ktp_")) == 401


def test_only_the_hash_of_a_token_is_stored(person: User) -> None:
    token = ApiToken.issue(person, "laptop")
    row = ApiToken.objects.get()
    assert row.sha256 == token_digest(token)
    assert token not in str(ApiToken.objects.values().get())
    assert str(row) == "laptop of researcher"


def test_the_last_use_is_recorded_at_most_once_a_minute(api: APIClient) -> None:
    api.get(PROTECTED)
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    api.get(PROTECTED)
    assert ApiToken.objects.get().last_used_at == first


def test_the_command_prints_a_working_token_and_refuses_an_unknown_user(person: User) -> None:
    out = StringIO()
    call_command("create_api_token", person.username, "--name", "script", stdout=out)
    assert call(out.getvalue().strip()) == 200
    with pytest.raises(CommandError, match="user nobody does not exist"):
        call_command("create_api_token", "nobody")
