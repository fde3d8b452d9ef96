"""Shared by all rooms: a person, an API client with that person's token, and files that go with the test."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from rest_framework.test import APIClient


SYSTEMS = ("faults", "stack", "browser")
"""Folders whose tests share a running system or a browser."""


def pytest_xdist_auto_num_workers() -> int:
    """Return twice the number of cores: the tests of systems wait more than they compute."""
    return min(2 * (os.cpu_count() or 1), 8)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the folders of systems first, because they take longest."""
    items.sort(key=lambda item: _folder(item.nodeid) not in SYSTEMS)


def _folder(nodeid: str) -> str:
    return nodeid.split("/")[1]


class BySystem(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Run all tests of a system in one process, so that it starts once; other tests are shared out by module."""

    def _split_scope(self, nodeid: str) -> str:
        folder = _folder(nodeid)
        return folder if folder in SYSTEMS else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> BySystem | None:
    return BySystem(config, log) if config.getvalue("dist") == "loadscope" else None


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


@pytest.fixture(scope="session", autouse=True)
def _empty_tables_quickly() -> Iterator[None]:
    from django.test import TransactionTestCase

    from tests.emptying import delete_rows

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", delete_rows)
        yield
