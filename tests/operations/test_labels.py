"""Labels and deletion with undo: over the API, in bulk and by command; rights and routes are in tests/access."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from access.models import AuditEntry
from operations import deletion, labels
from operations.actors import Actor
from operations.announced_kind import AnnouncedKind
from operations.models import Artifact, Event, Operation, StoredFile, Tag
from tests.factories import OperationFactory, StoredFileFactory, WorkerFactory
from tests.operations.test_at_once import at_once

pytestmark = pytest.mark.django_db
ME = Actor("user:test")
ENDED = {"completed_at": "2026-01-01T00:00Z"}


def create_completed(**fields: Any) -> Operation:
    return OperationFactory(status="COMPLETED", **ENDED, **fields)


def listed(api: APIClient, query: str = "") -> set[str]:
    return {row["operation_id"] for row in api.get(f"/operations?{query}").json()["results"]}


def events(operation: Operation) -> list[tuple[str, str]]:
    return list(Event.objects.filter(operation=operation).order_by("pk").values_list("kind", "reason"))


def test_a_patch_changes_what_is_given_with_one_event(api: APIClient) -> None:
    operation = create_completed()
    address = f"/operations/{operation.pk}"
    first = api.patch(
        address, {"title": " Best  so far ", "note": "# Why\r\n", "tags": ["FX Majors", "fx"]}
    ).json()
    assert (first["title"], first["note"], first["tags"]) == ("Best so far", "# Why", ["fx", "fx-majors"])
    assert api.patch(address, {"tags": ["fx"], "archived": True}).json()["archived_at"]
    assert api.patch(address, {"tags": ["fx"], "archived": True}).status_code == 200
    second = api.patch(address, {"archived": False, "title": ""}).json()
    assert (second["archived_at"], second["title"], second["note"]) == (None, "", "# Why")
    assert events(operation) == [
        ("labelled", "title 'Best so far', note changed, +fx, +fx-majors"),
        ("labelled", "-fx-majors, archived"),
        ("labelled", "title '', not archived any more"),
    ]
    assert "note" not in api.get("/operations").json()["results"][0]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"title": "x" * 201}, "/title"),
        ({"title": "a\x00b"}, "/title"),
        ({"note": "é" * 10_001}, "/note"),
        ({"note": "\x1b[31m"}, "/note"),
        ({"tags": ["two words", "not/allowed"]}, "/tags/1"),
        ({"tags": ["x" * 41]}, "/tags/0"),
        ({"tags": [""]}, "/tags/0"),
        ({"tags": [f"t{n}" for n in range(21)]}, "/tags"),
        ({"status": "COMPLETED"}, "/status"),
        ({"archived": "perhaps"}, "/archived"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_invalid_labels_are_refused_with_their_place(
    api: APIClient, body: dict[str, Any], pointer: str
) -> None:
    operation = create_completed()
    answer = api.patch(f"/operations/{operation.pk}", body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert events(operation) == []


@settings(max_examples=50)
@given(text=st.text(max_size=60))
def test_a_normalised_tag_is_its_own_normal_form(text: str) -> None:
    try:
        tag = labels.normalize_tag(text)
    except ValueError:
        return
    assert labels.normalize_tag(tag) == tag
    assert 1 <= len(tag) <= labels.MAX_TAG
    assert not set(tag) & set(" ,/?#%\"'<>\n")


@pytest.mark.parametrize(
    ("status", "mark", "word"),
    [("PENDING", "archived", "archived"), ("COMPLETED", "dismissed", "dismissed")],
)
def test_a_mark_that_the_status_does_not_allow_is_a_conflict(
    api: APIClient, status: str, mark: str, word: str
) -> None:
    operation = OperationFactory(status=status, **(ENDED if status == "COMPLETED" else {}))
    answer = api.patch(f"/operations/{operation.pk}", {mark: True})
    assert answer.status_code == 409
    assert f"can be {word}; this one is {status}" in answer.json()["detail"]
    assert api.patch(f"/operations/{operation.pk}", {mark: False}).status_code == 200


def test_lists_hide_archived_operations_unless_they_are_asked_for(api: APIClient) -> None:
    shown, archived = create_completed().pk, create_completed().pk
    api.patch(f"/operations/{archived}", {"archived": True})
    assert listed(api) == {shown}
    assert listed(api, "archived=true") == {archived}
    assert listed(api, "archived=any") == {shown, archived}
    assert api.get("/operations?archived=perhaps").status_code == 422
    assert api.get(f"/operations/{archived}").status_code == 200


def test_the_tag_filter_selects_what_has_all_the_tags(api: APIClient) -> None:
    both, one, none = (create_completed().pk for _ in range(3))
    api.patch(f"/operations/{both}", {"tags": ["a", "b"]})
    api.patch(f"/operations/{one}", {"tags": ["a"]})
    assert listed(api, "tag=A") == {both, one}
    assert listed(api, "tag=a,b") == {both}
    assert listed(api, "tag=unused") == set()
    assert api.get("/operations?tag=a/b").status_code == 422
    too_many = ",".join(f"t{number}" for number in range(900))
    assert api.get(f"/operations?tag={too_many}").status_code == 422
    assert none in listed(api)


def test_an_expression_filters_lists_and_selections(api: APIClient) -> None:
    run, other = create_completed(title="a"), create_completed(title="b")
    assert listed(api, "where=title = a") == {run.pk}
    answer = api.get("/operations?where=titel = a")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["detail"] == "Unknown name 'titel' at character 1; did you mean title?"
    body = {"where": "title = b", "labels": {"archived": True}}
    assert api.post("/operations/label", body).json()["changed"] == 1
    assert listed(api, "archived=true") == {other.pk}


def test_a_title_is_found_by_the_search(api: APIClient) -> None:
    operation = create_completed()
    api.patch(f"/operations/{operation.pk}", {"title": "Golden Cross"})
    assert listed(api, "search=golden") == {operation.pk}
    api.patch(f"/operations/{operation.pk}", {"title": "Silver"})
    assert listed(api, "search=golden") == set()


def test_a_retry_shows_the_operation_again(api: APIClient) -> None:
    operation = OperationFactory(status="FAILED", error_class="job", **ENDED)
    api.patch(f"/operations/{operation.pk}", {"archived": True, "dismissed": True})
    answer = api.post(f"/operations/{operation.pk}/retry").json()
    assert (answer["archived_at"], answer["dismissed_at"]) == (None, None)


def test_a_deleted_operation_is_hidden_and_can_be_restored(api: APIClient) -> None:
    operation = create_completed(parameters={"x": "needle"})
    address = f"/operations/{operation.pk}"
    answer = api.post(f"{address}/delete")
    assert answer.status_code == 200
    assert answer.json()["removed_after"] > answer.json()["deleted_at"]
    assert listed(api) == listed(api, "search=needle") == listed(api, "archived=any") == set()
    assert listed(api, "deleted=true") == {operation.pk}
    gone = api.get(address)
    assert gone.status_code == 404
    assert "can be restored until" in gone.json()["detail"]
    assert api.post(f"{address}/delete").status_code == api.patch(address, {"title": "x"}).status_code == 404
    assert api.post(f"{address}/restore").json()["operation_id"] == operation.pk
    assert api.post(f"{address}/restore").status_code == 409
    assert listed(api) == {operation.pk}
    assert [kind for kind, _ in events(operation)] == ["deleted", "restored"]


def test_an_operation_that_runs_or_is_needed_is_not_deleted(api: APIClient) -> None:
    training = create_completed(operation_type="training")
    waited_for = create_completed()
    follower = create_completed(after=[waited_for])
    backtest = create_completed(operation_type="backtesting", parameters={"model": training.pk})
    cases = [
        (OperationFactory(), "The operation is PENDING; cancel it"),
        (waited_for, f"The operation {follower.pk} needs this one"),
        (training, f"The operation {backtest.pk} needs this one"),
    ]
    for operation, sentence in cases:
        answer = api.post(f"/operations/{operation.pk}/delete")
        assert answer.status_code == 409
        assert answer.json()["detail"].startswith(sentence)
    # The newest first, so what is needed goes after what needs it.
    result = api.post("/operations/delete", {"status": "COMPLETED"}).json()
    assert (result["changed"], result["skipped"]) == (4, 0)


@pytest.mark.parametrize(
    "operation_type", ["study_batch", "study_training_batch", "study_finalist", "study_report"]
)
def test_a_part_of_a_study_is_not_deleted(api: APIClient, operation_type: str) -> None:
    answer = api.post(f"/operations/{create_completed(operation_type=operation_type).pk}/delete")
    assert answer.status_code == 409
    assert "belongs to a study" in answer.json()["detail"]


def test_a_kind_can_refuse_the_deletion(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = create_completed()
    monkeypatch.setattr(AnnouncedKind, "deletion_refusal", lambda self, operation: "It belongs to a study.")
    assert api.post(f"/operations/{operation.pk}/delete").json()["detail"] == "It belongs to a study."


def test_nothing_can_wait_for_a_deleted_operation(api: APIClient) -> None:
    operation = create_completed()
    deletion.delete(operation.pk, ME)
    answer = api.post("/operations", {"operation_type": "echo", "parameters": {}, "after": [operation.pk]})
    assert answer.status_code == 422


def test_an_idempotency_key_of_a_deleted_operation_stays_used(api: APIClient, person: Any) -> None:
    body = {"operation_type": "echo", "parameters": {}}
    WorkerFactory()
    first = api.post("/operations", body, headers={"Idempotency-Key": "k"}).json()["operation_id"]
    api.delete(f"/operations/{first}/cancel")
    deletion.delete(first, ME)
    again = api.post("/operations", body, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()["operation_id"]) == (202, first)


def test_the_cleanup_removes_what_was_deleted_long_ago_and_nobody_needs() -> None:
    shared, own = StoredFileFactory(), StoredFileFactory()
    old, recent, needed = create_completed(), create_completed(), create_completed()
    for operation, file in ((old, shared), (old, own), (recent, shared)):
        Artifact.objects.create(operation=operation, role="output", name=file.pk, file=file)
    labels.label(old.pk, labels.Labels(tags=["fx"]), ME)
    for operation in (old, recent, needed):
        deletion.delete(operation.pk, ME)
    long_ago = Now() - timedelta(days=django_settings.DELETED_RETENTION_DAYS + 1)
    Operation.with_deleted.filter(pk__in=[old.pk, needed.pk]).update(deleted_at=long_ago)
    create_completed(operation_type="backtesting", parameters={"model": needed.pk})
    assert deletion.remove_deleted() == 1
    assert set(Operation.with_deleted.exclude(deleted_at=None)) == {recent, needed}
    assert set(Artifact.objects.values_list("file_id", flat=True)) == {shared.pk}
    assert set(StoredFile.objects.all()) == {shared, own}, "the cleanup of files decides about those"
    assert not Event.objects.filter(operation=old.pk).exists()


def test_an_operation_that_cannot_be_removed_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    victim, other = create_completed(), create_completed()
    for operation in (victim, other):
        deletion.delete(operation.pk, ME)
    long_ago = Now() - timedelta(days=django_settings.DELETED_RETENTION_DAYS + 1)
    Operation.with_deleted.update(deleted_at=long_ago)
    find_user = deletion._find_user

    def raise_for_victim(operation_id: str) -> str | None:
        if operation_id == victim.pk:
            raise RuntimeError("defect")
        return find_user(operation_id)

    monkeypatch.setattr(deletion, "_find_user", raise_for_victim)
    assert deletion.remove_deleted() == 1
    assert Operation.with_deleted.get() == victim


def test_labels_and_deletion_of_a_selection(api: APIClient) -> None:
    runs = [create_completed().pk for _ in range(3)]
    failed = OperationFactory(status="FAILED", error_class="job", **ENDED).pk
    waiting = OperationFactory().pk
    added = api.post("/operations/label", {"ids": [*runs, waiting], "labels": {"add_tags": ["FX"]}}).json()
    assert added["changed"] == 4
    assert api.post("/operations/label", {"tag": "fx", "labels": {"archived": True}}).json()["changed"] == 3
    assert listed(api, "archived=true") == set(runs)
    swap = {"tag": "fx", "archived": "any", "labels": {"add_tags": ["b"], "remove_tags": ["fx"]}}
    assert api.post("/operations/label", swap).json()["changed"] == 4
    assert set(Tag.objects.filter(operations=waiting).values_list("pk", flat=True)) == {"b"}
    assert (
        api.post("/operations/label", {"active": False, "labels": {"dismissed": True}}).json()["changed"] == 1
    )
    assert Operation.objects.get(dismissed_at__isnull=False).pk == failed
    assert api.post("/operations/label", {"tag": "b", "labels": {}}).status_code == 422
    assert api.post("/operations/delete", {"ids": [runs[0], waiting]}).json()["changed"] == 1
    assert api.post("/operations/restore", {"ids": [runs[0]]}).json()["changed"] == 1
    acts = AuditEntry.objects.order_by("pk").values_list("act", flat=True)
    assert list(acts) == ["operations_labelled"] * 4 + ["operations_deleted", "operations_restored"]


def test_the_commands_label_delete_and_restore() -> None:
    operation = create_completed()

    def call(name: str, *arguments: str) -> int:
        output = StringIO()
        call_command(name, "--id", operation.pk, *arguments, "--json", stdout=output)
        return int(json.loads(output.getvalue())["changed"])

    assert call("label_operations", "--add", "FX", "--archive") == 1
    assert call("label_operations", "--no-archive") == 1
    operation.refresh_from_db()
    assert (list(operation.tags.all()), operation.archived_at) == ([Tag(name="fx")], None)
    assert call("delete_operations") == 1
    assert not Operation.objects.exists()
    assert call("restore_operations") == 1
    with pytest.raises(CommandError, match="Choose a change"):
        call("label_operations")
    with pytest.raises(CommandError, match="unlike 'a/b'"):
        call("label_operations", "--add", "a/b")
    with pytest.raises(CommandError, match="at least one filter"):
        call_command("delete_operations")


def test_a_tag_has_a_goal_and_a_note(api: APIClient) -> None:
    api.patch(f"/operations/{create_completed().pk}", {"tags": ["fx"]})
    assert api.get("/tags").json() == {"results": [{"name": "fx", "goal": "", "note": "", "operations": 1}]}
    assert api.patch("/tags/FX", {"goal": "robust entries", "note": "*m*"}).json()["goal"] == "robust entries"
    assert api.get("/tags/fx").json()["note"] == "*m*"
    assert api.patch("/tags/fx", {"name": "x"}).status_code == 422
    assert api.get("/tags/unused").status_code == api.get("/tags/a%00b").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_an_operation_is_not_deleted_while_a_new_one_starts_to_wait_for_it(api: APIClient) -> None:
    WorkerFactory()
    operation = create_completed()
    body = {"operation_type": "echo", "parameters": {}, "after": [operation.pk]}

    def delete() -> str:
        try:
            deletion.delete(operation.pk, ME)
        except deletion.lifecycle.WrongState:
            return "refused"
        return "deleted"

    def submit() -> str:
        return str(api.post("/operations", body).status_code)

    assert tuple(at_once(delete, submit)) in (("deleted", "422"), ("refused", "202"))
