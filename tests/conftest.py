"""Shared by all rooms: a person, an API client with that person's token, and files that go with the test."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from rest_framework.test import APIClient


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests first. Browser tests last: from their first to their last Playwright keeps an event loop running in
    this thread, and beside it no test of `async def` can run."""
    items.sort(key=lambda item: ("browser" in item.path.parts, "stack" in item.path.parts))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))


def _group(item: pytest.Item) -> str:
    """Of the tests that run in one process, since they share what is dear to start (`--dist loadgroup`)."""
    folder = item.path.parent.name
    shares = "browser" in item.path.parts or {"system", "shared_system"} & set(getattr(item, "fixturenames", ()))
    return folder if shares else item.path.stem


@pytest.fixture(autouse=True)
def _own_files(tmp_path_factory: pytest.TempPathFactory, settings: Any) -> None:
    """What a test stores as artifacts lies in a directory of its own."""
    settings.DATA_DIR = tmp_path_factory.mktemp("var")


@pytest.fixture
def person(db: None) -> "User":
    """An operator."""
    from django.contrib.auth.models import Group, User

    user = User.objects.create_user("researcher", password="a-long-enough-password")
    user.groups.add(Group.objects.get(name="operator"))
    return user


@pytest.fixture
def staff(db: None) -> "User":
    from django.contrib.auth.models import User

    return User.objects.create_user("operator", password="a-long-enough-password", is_staff=True)


@pytest.fixture
def api(person: "User") -> "APIClient":
    """An API client that sends the person's token."""
    from rest_framework.test import APIClient

    from ktrdr_site.models import ApiToken

    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {ApiToken.issue(person, 'test')}")
    return client


@pytest.fixture
def staff_api(staff: "User") -> "APIClient":
    from rest_framework.test import APIClient

    from ktrdr_site.models import ApiToken

    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {ApiToken.issue(staff, 'test')}")
    return client
