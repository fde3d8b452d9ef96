"""Saved strategies over the API; rights and routes are in tests/access."""

import hashlib
from collections import Counter
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any
from unittest import mock

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.db.models.functions import Now
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from access.actors import Actor
from access.models import AuditEntry
from operations.deletion import cleanups
from operations.models import Operation
from strategies import saving
from strategies.differences import diff_lines
from strategies.models import SavedStrategy, StrategyVersion
from strategies.names import RESERVED, is_digest, name_from, normalize_name
from strategies.requests import NewStrategy, NewVersion
from tests.interleaving import act_before_commit_of
from tests.strategies.texts import RULES, TRAINED, variant

pytestmark = pytest.mark.django_db


def save(api: APIClient, **fields: Any) -> Any:
    return api.post("/strategies", {"strategy_yaml": RULES, **fields}, format="json")


def add(api: APIClient, name: str, text: str, **fields: Any) -> Any:
    return api.post(f"/strategies/{name}/versions", {"strategy_yaml": text, **fields}, format="json")


def test_a_strategy_exists_without_a_run_and_its_text_is_the_one_that_was_sent(api: APIClient) -> None:
    response = save(api, title="Cross", note="A **note**", tags=["Trend Following"], change="first")
    assert response.status_code == 201
    assert response.headers["Location"].endswith("/strategies/moving_average_cross")
    data = api.get("/strategies/moving_average_cross").json()
    assert data == response.json()
    assert (data["title"], data["tags"], data["version"]) == ("Cross", ["trend-following"], 1)
    version = api.get("/strategies/moving_average_cross/versions/1").json()
    assert version["strategy_yaml"] == RULES
    assert version["created_by"] == "researcher"
    assert not Operation.objects.exists()


def test_the_digest_is_that_of_operations_with_the_same_text(api: APIClient) -> None:
    digest = save(api).json()["digest"]
    row = Operation.objects.create(operation_type="training", parameters={"strategy_yaml": RULES})
    row.refresh_from_db()
    assert digest == row.strategy == hashlib.md5(RULES.encode(), usedforsecurity=False).hexdigest()


def test_line_ends_of_windows_give_the_same_digest(api: APIClient) -> None:
    assert save(api).json()["digest"] == save(api, strategy_yaml=RULES.replace("\n", "\r\n")).json()["digest"]


def test_an_invalid_text_is_refused_with_its_line_and_nothing_is_stored(api: APIClient) -> None:
    save(api)
    broken = RULES.replace("type: sma", "type: smma", 1)
    line = next(number for number, text in enumerate(broken.splitlines(), 1) if "smma" in text)
    for response in (save(api, strategy_yaml=broken), add(api, "moving_average_cross", broken)):
        assert response.status_code == 422
        assert [error["line"] for error in response.json()["errors"]] == [line]
    assert StrategyVersion.objects.count() == 1


def test_a_name_from_the_file_gets_a_number_and_a_chosen_name_is_refused(api: APIClient) -> None:
    names = [save(api).json()["name"] for _ in range(3)]
    assert names == ["moving_average_cross", "moving_average_cross_2", "moving_average_cross_3"]
    assert save(api, name=names[0]).status_code == 409
    renamed = api.patch(f"/strategies/{names[1]}", {"name": names[0]}, format="json")
    assert renamed.status_code == 409
    assert SavedStrategy.objects.count() == 3


@given(st.text(max_size=120))
@settings(deadline=None)
def test_a_name_made_from_any_text_is_valid_and_its_own_normal_form(text: str) -> None:
    name = name_from(text)
    assert normalize_name(name) == name


@pytest.mark.parametrize("name", [*sorted(RESERVED), "", "-x", "ä", "a/b", "0" * 32, "x" * 65])
def test_names_that_addresses_cannot_hold_are_refused(api: APIClient, name: str) -> None:
    response = save(api, name=name)
    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == ["/name"]


def test_only_digests_have_the_form_of_a_digest() -> None:
    assert is_digest(hashlib.md5(b"", usedforsecurity=False).hexdigest())
    assert not is_digest("moving_average_cross")


def test_versions_are_appended_and_an_equal_text_adds_none(api: APIClient) -> None:
    save(api)
    assert add(api, "moving_average_cross", variant(1), change="one").status_code == 201
    again = add(api, "moving_average_cross", variant(1))
    assert (again.status_code, again.json()["version"]) == (200, 2)
    back = add(api, "moving_average_cross", RULES)
    assert (back.status_code, back.json()["version"]) == (201, 3)
    listed = api.get("/strategies/moving_average_cross/versions").json()["results"]
    assert [(row["version"], row["change"]) for row in listed] == [(3, ""), (2, "one"), (1, "")]
    assert listed[0]["digest"] == listed[2]["digest"] != listed[1]["digest"]
    assert api.get("/strategies").json()["results"][0]["version"] == 3


def test_a_save_based_on_an_older_version_is_refused_and_names_the_author(api: APIClient) -> None:
    save(api)
    add(api, "moving_average_cross", variant(1), based_on=1)
    response = add(api, "moving_average_cross", variant(2), based_on=1)
    assert response.status_code == 409
    assert "researcher saved version 2 since" in response.json()["detail"]
    assert add(api, "moving_average_cross", variant(2), based_on=2).json()["version"] == 3


@pytest.mark.django_db(transaction=True)
def test_saves_at_the_same_time_get_different_numbers(person: Any) -> None:
    saving.create(NewStrategy(strategy_yaml=RULES), person)

    def add_one(number: int) -> int:
        try:
            new = NewVersion(strategy_yaml=variant(number))
            return saving.add_version("moving_average_cross", new, person)[0].number
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        numbers = list(threads.map(add_one, range(8)))
    assert sorted(numbers) == list(range(2, 10))


@pytest.mark.django_db(transaction=True)
def test_of_saves_at_the_same_time_under_one_name_one_succeeds(person: Any) -> None:
    def create(_: int) -> bool:
        try:
            saving.create(NewStrategy(strategy_yaml=RULES, name="mine"), person)
        except saving.NameTaken:
            return False
        else:
            return True
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(create, range(6))) == 1
    assert StrategyVersion.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_strategies_that_are_saved_without_a_name_at_the_same_moment_get_different_ones(person: Any) -> None:
    create = partial(saving.create, NewStrategy(strategy_yaml=RULES), person)
    assert act_before_commit_of(create, create).name == "moving_average_cross_2"
    assert SavedStrategy.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_strategy_that_is_restored_while_it_is_removed_stays(person: Any) -> None:
    me = Actor("user:test")
    saving.create(NewStrategy(strategy_yaml=RULES, name="mine"), person)
    saving.delete("mine", me)
    SavedStrategy.with_deleted.update(deleted_at=Now() - timedelta(days=1000))
    assert act_before_commit_of(lambda: saving.restore("mine", me), saving.remove_deleted) == 0
    assert SavedStrategy.objects.get().versions.count() == 1


def test_the_list_is_filtered_by_text_tag_and_archive(api: APIClient) -> None:
    save(api, name="one", tags=["fx"], title="Carry")
    save(api, name="two", note="of momentum")
    api.patch("/strategies/two", {"archived": True}, format="json")

    def names(query: str) -> list[str]:
        return [row["name"] for row in api.get(f"/strategies?{query}").json()["results"]]

    assert names("") == ["one"]
    assert names("archived=true") == ["two"]
    assert names("archived=any") == ["two", "one"]
    assert names("search=carr") == ["one"]
    assert names("search=momentum&archived=any") == ["two"]
    assert names("tag=FX") == ["one"]
    assert names("tag=none") == []
    for query in ("tag=a%20%2F", "search=%00", "archived=maybe"):
        assert api.get(f"/strategies?{query}").status_code == 422


def test_labels_that_are_not_given_stay(api: APIClient) -> None:
    save(api, name="one", tags=["fx"], title="Carry", note="text")
    data = api.patch("/strategies/one", {"title": "New", "name": "other"}, format="json").json()
    assert (data["name"], data["title"], data["tags"], data["note"]) == ("other", "New", ["fx"], "text")
    assert api.patch("/strategies/other", {"tags": []}, format="json").json()["tags"] == []
    assert api.patch("/strategies/other", {"colour": "red"}, format="json").status_code == 422
    assert api.get("/strategies/one").status_code == 404


def test_a_deleted_strategy_is_gone_from_everywhere_and_comes_back_with_its_versions(api: APIClient) -> None:
    save(api, name="one")
    add(api, "one", variant(1))
    assert api.post("/strategies/one/delete").json()["removed_after"]
    for path in ("one", "one/versions", "one/versions/1", "one/versions/1/file", "one/diff?from=1&to=2"):
        assert api.get(f"/strategies/{path}").status_code == 404
    assert api.post("/strategies/one/delete").status_code == 404
    assert api.get("/strategies?archived=any").json()["results"] == []
    assert api.post("/strategies/one/restore").json()["version"] == 2
    assert api.post("/strategies/one/restore").status_code == 409
    assert api.post("/strategies/two/restore").status_code == 404
    acts = AuditEntry.objects.order_by("pk").values_list("act", "subject")
    assert list(acts) == [("strategy_deleted", "one"), ("strategy_restored", "one")]


def test_a_restored_strategy_does_not_take_a_name_that_is_used_again(api: APIClient) -> None:
    save(api, name="one")
    api.post("/strategies/one/delete")
    save(api, name="one")
    assert api.post("/strategies/one/restore").status_code == 409
    assert SavedStrategy.objects.count() == 1


def test_the_cleanup_removes_deleted_strategies_after_the_grace(api: APIClient) -> None:
    for name in ("old", "recent", "kept"):
        save(api, name=name)
    for name, days in (("old", 1), ("recent", -1)):
        grace = timedelta(days=django_settings.DELETED_RETENTION_DAYS + days)
        SavedStrategy.objects.filter(name=name).update(deleted_at=Now() - grace)
    assert cleanups["removed_strategies"].count() == 1
    assert cleanups["removed_strategies"].remove() == 1
    assert set(SavedStrategy.with_deleted.values_list("name", flat=True)) == {"recent", "kept"}
    assert StrategyVersion.objects.count() == 2


def test_a_version_is_exported_as_the_file_that_was_saved(api: APIClient) -> None:
    save(api, name="one", strategy_yaml=TRAINED)
    response = api.get("/strategies/one/versions/1/file")
    assert response.content.decode() == TRAINED
    assert response.headers["Content-Disposition"] == 'attachment; filename="one.yaml"'


def without(lines: list[str], numbers: Collection[int | None]) -> list[str]:
    return [line for number, line in enumerate(lines, 1) if number not in numbers]


LINES = st.lists(st.sampled_from(["a", "b", "c", "d", ""]), max_size=30)


@given(LINES, LINES)
@settings(deadline=None)
def test_the_lines_of_a_difference_turn_one_text_into_the_other(before: list[str], after: list[str]) -> None:
    """Each shown line is at its number, and the lines that are left out are equal in both."""
    lines = diff_lines("\n".join(before), "\n".join(after))
    older, newer = "\n".join(before).splitlines(), "\n".join(after).splitlines()
    removed = {line.old for line in lines if line.kind == "del"}
    added = {line.new for line in lines if line.kind == "add"}
    for line in lines:
        assert line.old is None or older[line.old - 1] == line.text
        assert line.new is None or newer[line.new - 1] == line.text
    assert without(older, removed) == without(newer, added)
    assert bool(lines) == (older != newer)


PART = st.lists(st.sampled_from(["", "#", "a: 1"]), max_size=8)


@given(PART, PART, PART, PART)
@settings(deadline=None)
def test_a_change_that_takes_too_long_to_take_apart_is_shown_as_a_whole(
    start: list[str], old: list[str], new: list[str], end: list[str]
) -> None:
    """The rule of the test above, for comparisons over the limit."""
    older, newer = [*start, *old, *end], [*start, *new, *end]
    with mock.patch("strategies.differences.MAX_STEPS", 0):
        lines = diff_lines("\n".join(["0", *older, "9"]), "\n".join(["0", *newer, "9"]))
    removed = [line.old for line in lines if line.kind == "del"]
    added = [line.new for line in lines if line.kind == "add"]
    older, newer = ["0", *older, "9"], ["0", *newer, "9"]
    assert without(older, removed) == without(newer, added)
    assert bool(lines) == (older != newer)
    assert all(older[line.old - 1] == line.text for line in lines if line.old)
    assert all(newer[line.new - 1] == line.text for line in lines if line.new)


SLOW = {
    "equal lines": (["#"] * 4999, ["#", "x"] * 2500),
    "each second line": ([str(n) for n in range(5000)], [str(n - n % 2) for n in range(5000)]),
    "reversed": ([str(n) for n in range(5000)], [str(-n) for n in range(-4999, 1)]),
    "few distinct lines": (["a", "b", "c"] * 1600, ["c", "b", "a"] * 1600),
}


@pytest.mark.parametrize("name", SLOW)
def test_texts_that_difflib_would_compare_for_minutes_are_not_taken_apart(name: str) -> None:
    older, newer = SLOW[name]
    kinds = Counter(line.kind for line in diff_lines("\n".join(older), "\n".join(newer)))
    assert kinds["del"] == len(older) - kinds["same"]
    assert kinds["add"] == len(newer) - kinds["same"]
    assert kinds["same"] <= 3


def test_a_strategy_of_many_lines_is_refused_with_their_number(api: APIClient) -> None:
    response = save(api, strategy_yaml=RULES + "#\n" * 10_000)
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert error["pointer"] == "/strategy_yaml"
    assert error["detail"] == f"A strategy may have at most 10000 lines, not {10_000 + RULES.count(chr(10))}."


def test_a_comparison_needs_two_versions_that_exist(api: APIClient) -> None:
    save(api, name="one")
    add(api, "one", variant(1))
    lines = api.get("/strategies/one/diff?from=1&to=2").json()["lines"]
    assert [line for line in lines if line["kind"] != "same"] == [
        {"kind": "add", "text": "# variant 1", "old": None, "new": 1}
    ]
    assert api.get("/strategies/one/diff?from=1&to=3").status_code == 404
    for query in ("from=x&to=1", "from=1", ""):
        assert api.get(f"/strategies/one/diff?{query}").status_code == 422


def test_a_program_that_repeats_a_mistake_gets_the_first_hundred_places(api: APIClient) -> None:
    text = TRAINED + "".join(f"unknown{number}: 1\n" for number in range(500))
    save(api, name="mine")
    answer = add(api, "mine", text)
    assert answer.status_code == 422
    assert answer.json()["detail"] == "The strategy has 500 errors; the first 100 are listed."
    assert len(answer.json()["errors"]) == 100
