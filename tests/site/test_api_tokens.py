"""Who calls the API: a person's token, nobody, or somebody who is no longer welcome."""

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


def test_a_token_is_its_user(api: APIClient, person: User) -> None:
    answer = api.get(PROTECTED)
    assert answer.status_code == 200
    assert answer.wsgi_request.user == person or answer.renderer_context["request"].user == person


def test_without_credentials_it_is_401_and_says_how(client: APIClient) -> None:
    answer = client.get(PROTECTED)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="KTRDR"'


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


def test_a_workers_token_opens_nothing_for_people(person: User) -> None:
    assert call("ktw_" + ApiToken.issue(person).removeprefix("ktp_")) == 401


def test_only_the_hash_of_a_token_is_kept(person: User) -> None:
    token = ApiToken.issue(person, "laptop")
    row = ApiToken.objects.get()
    assert row.sha256 == token_digest(token)
    assert token not in str(ApiToken.objects.values().get())
    assert str(row) == "laptop of researcher"


def test_the_last_use_is_noted_at_most_once_a_minute(api: APIClient) -> None:
    api.get(PROTECTED)
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    api.get(PROTECTED)
    assert ApiToken.objects.get().last_used_at == first


def test_the_command_prints_a_token_that_works_and_refuses_a_stranger(person: User) -> None:
    out = StringIO()
    call_command("create_api_token", person.username, "--name", "script", stdout=out)
    assert call(out.getvalue().strip()) == 200
    with pytest.raises(CommandError, match="there is no user nobody"):
        call_command("create_api_token", "nobody")
