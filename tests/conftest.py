"""Shared by all rooms: a person, an API client with that person's token, and files that go with the test."""

import gc
import os
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from rest_framework.test import APIClient

    from tests.object_store import ObjectStore


# How long a loaded machine takes to generate or run an example tells nothing about the code.
hypothesis.settings.register_profile(
    "any load", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any load")

SYSTEMS = ("faults", "stack", "browser")
"""Folders whose tests share a running system or a browser."""
OWN_SYSTEMS = (
    "faults/test_two_machines.py",
    "stack/test_backup.py",
    "stack/test_memory.py",
    "stack/test_prepare.py",
    "stack/test_up.py",
)
"""Modules of these folders that start systems of their own."""
OVER_TLS = ("stack/test_logs.py", "stack/test_schedules.py", "stack/test_secrets.py")
"""Modules that share the system over TLS."""
FIRST = (
    "stack",
    "faults",
    "site/test_api_document.py",
    "browser",
    "operations/test_isolation.py",
    "stack over TLS",
    "operations/test_state_machine.py",
    "stack/test_up.py",
    "access/test_table.py",
    "stack/test_backup.py",
    "access/test_bodies.py",
    "stack/test_prepare.py",
    "operations/test_kinds.py",
    "faults/test_two_machines.py",
    "stack/test_memory.py",
    "studies/test_state_machine.py",
    "quant/learning/test_training_pipeline.py",
    "operations/test_long_history.py",
    "site/test_file_modes.py",
)
"""What takes one process longest, so that nothing long is left for the end; some of it computes and some of it waits."""


def pytest_xdist_auto_num_workers() -> int:
    """Return twice the number of cores: the tests of systems wait more than they compute."""
    return min(2 * (os.cpu_count() or 1), 8)


@pytest.hookimpl(hookwrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect garbage neither during the collection nor, later, among what it made: nothing of that is ever freed."""
    gc.disable()
    yield
    gc.enable()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort what takes longest to the start. Every process must give a test the same name, so none contains an address."""
    unstable = [item.nodeid for item in items if re.search(r"\bat 0x[0-9a-f]+", item.nodeid)]
    if unstable:
        raise pytest.UsageError(f"the name of a test differs from process to process: {unstable[0]}")
    places = {scope: place for place, scope in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(_scope(item.nodeid), len(places)))


def _scope(nodeid: str) -> str:
    """Return what runs in one process: the tests of a system, so that it starts once, or else a module."""
    module = nodeid.partition("::")[0].removeprefix("tests/")
    folder = module.partition("/")[0]
    if module in OVER_TLS:
        return "stack over TLS"
    return folder if folder in SYSTEMS and module not in OWN_SYSTEMS else module


class BySystem(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Share the tests out by scope, in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> BySystem | None:
    return BySystem(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Create the test database from one that is migrated already, unless it is to be on another server."""
    from django.db import connection

    from ktrdr_site.embedded import cluster
    from ktrdr_site.stack.preparation import EMBEDDED
    from tests.prepared import place

    if connection.settings_dict["ENGINE"] == EMBEDDED:
        place(Path(connection.settings_dict["OPTIONS"]["server_directory"]).parent)
        connection.settings_dict["TEST"]["TEMPLATE"] = cluster.DATABASE


@pytest.fixture(scope="session")
def _directories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a new directory each time, without `mktemp`, which reads the names of all earlier ones."""
    parent = tmp_path_factory.mktemp("var")
    return (parent / str(number) for number in count())


@pytest.fixture(autouse=True)
def _own_files(_directories: Iterator[Path], settings: Any) -> None:
    """Give each test its own directory for artifacts."""
    settings.DATA_DIR = next(_directories)
    settings.DATA_DIR.mkdir(mode=0o700)


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
def open_connection(db: None) -> Iterator[None]:
    """Keep the test's connection, with its transaction, open after requests that run the whole site in this process."""
    from django.core.signals import request_finished, request_started
    from django.db import close_old_connections

    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


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


@pytest.fixture(scope="session")
def object_store_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["ObjectStore"]:
    """A real service with the API of S3, for tests that take a prefix of their own in its bucket."""
    from tests.object_store import object_store

    with object_store(tmp_path_factory.mktemp("object-store")) as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def _empty_tables_quickly() -> Iterator[None]:
    from django.test import TransactionTestCase

    from tests.emptying import delete_rows

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", delete_rows)
        yield
