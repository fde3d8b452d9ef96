"""Shared by all rooms: a person, an API client with that person's token, and files that go with the test."""

from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from rest_framework.test import APIClient


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests first. Browser tests last: from their first to their last Playwright keeps an event loop running in
    this thread, and beside it no test of `async def` can run."""
    items.sort(key=lambda item: ("browser" in item.path.parts, "stack" in item.path.parts))


class ByFolder(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """The tests of a folder share what is dear to start: they run in one process, one after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("/")[1]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFolder | None:
    return ByFolder(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.fixture(autouse=True)
def _own_files(tmp_path_factory: pytest.TempPathFactory, settings: Any) -> None:
    """Give each test its own directory for artifacts."""
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
