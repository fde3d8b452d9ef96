"""The access table of docs/security.md is what the site does: every route, every method, everybody who may ask."""

import re
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.access.callers import COLUMNS, Callers, asked
from tests.access.routes import ADMIN, AGAIN, Route, all_routes, methods, own_routes

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `(GET|POST|PUT|PATCH|DELETE) /(\S*)` \|(.*)\|$", re.MULTILINE)

Cells = dict[str, str]


@pytest.fixture
def callers() -> Callers:
    return Callers.made()


def read_documented() -> dict[tuple[str, str], Cells]:
    """(method, pattern) -> who -> what they get."""
    rows = {}
    for method, pattern, cells in ROW.findall((ROOT / "docs" / "security.md").read_text()):
        values = [cell.strip() for cell in cells.split("|")]
        assert len(values) == len(COLUMNS), f"{method} /{pattern} has {len(values)} cells"
        rows[method, pattern] = dict(zip(COLUMNS, values, strict=True))
    return rows


def status_of(callers: Callers, route: Route, method: str) -> int:
    return int(asked(callers.clients["anonymous"], method, callers.address(route, "staff"), {}).status_code)


def observe(callers: Callers) -> dict[tuple[str, str], Cells]:
    found = {}
    for route in own_routes():
        for method in methods(route, partial(status_of, callers, route)):
            found[method, route.pattern] = {
                column: callers.ask(client, method, route, column)
                for column, client in callers.clients.items()
            }
    return found


def test_every_route_answers_everybody_as_the_table_says(callers: Callers) -> None:
    wanted, found = read_documented(), observe(callers)
    assert set(found) - set(wanted) == set(), "these routes have no row in docs/security.md"
    assert set(wanted) - set(found) == set(), "these rows of docs/security.md have no route"
    differences = [
        f"{method} /{pattern}, {column}: the table says {wanted[method, pattern][column]}, the site {got}"
        for (method, pattern), cells in found.items()
        for column, got in cells.items()
        if wanted[method, pattern][column] != got
    ]
    assert not differences, "\n".join(differences)


def test_the_paths_below_api_v1_are_those_at_the_root() -> None:
    again = {
        route.pattern.removeprefix(AGAIN): route.view
        for route in all_routes()
        if route.pattern.startswith(AGAIN)
    }
    at_root = {route.pattern: route.view for route in own_routes()}
    assert again
    assert {pattern: at_root[pattern] for pattern in again} == again


def test_the_table_has_every_path_of_the_api_document() -> None:
    paths = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())["paths"]
    in_document = {
        (method.upper(), path.strip("/"))
        for path, operations in paths.items()
        for method in operations
        if method.upper() != "HEAD"
    }
    in_table = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", pattern).strip("/"))
        for method, pattern in read_documented()
    }
    assert in_document - in_table == set()


def test_an_api_token_opens_what_its_person_may_do_and_no_page(callers: Callers) -> None:
    """With one difference, that a token makes no other."""
    differences = []
    for (method, pattern), cells in read_documented().items():
        route = Route(pattern, None)
        is_page = pattern.startswith(("dashboard/", "docs/"))
        for name, client in callers.tokens.items():
            got = callers.ask(client, method, route, name)
            expected = cells["anonymous"] if is_page or not pattern else cells[name]
            if (method, pattern) == ("POST", "tokens"):
                expected = "403"
            if got != expected:
                differences.append(f"{method} /{pattern}, token of {name}: {got} instead of {expected}")
    assert not differences, "\n".join(differences)


def test_the_administration_is_for_staff_alone(callers: Callers) -> None:
    values = dict.fromkeys(
        ("object_id", "app_label", "content_type_id", "id", "url", "path", "extra_context"), "1"
    )
    for route in all_routes():
        if not route.pattern.startswith(ADMIN) or re.search(r"\(\?P|\^|\$", route.pattern):
            continue
        if route.pattern.endswith("logout/"):
            continue  # whoever asks is sent to the beginning
        here = Route(route.address(values).lstrip("/"), route.view)
        for column, client in callers.clients.items():
            if column != "staff":
                got = callers.ask(client, "GET", here, column)
                assert got in ("login", "403", "405"), f"{column} at /{here.pattern}: {got}"
    staff = callers.clients["staff"]
    assert staff.get("/admin/").status_code == 200
    assert staff.get("/admin/operations/operation/").status_code == 200
    assert staff.get("/admin/auth/user/").status_code == 403
