"""Uploaded files are inputs of operations: owned, limited, expiring, and kept by the operations that use them."""

import io
from datetime import timedelta
from typing import Annotated, Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models.functions import Now
from django.test import Client
from pydantic import BaseModel
from rest_framework.test import APIClient

from operations import artifacts, received_files, uploads
from operations.models import Artifact, Operation, StoredFile, Upload
from registry.cleanup import cleanup, preview
from tests.access.callers import member
from tests.claiming import claim_next
from tests.factories import CapabilityFactory, WorkerFactory
from tests.operations.test_own_inputs import ME, refusal, submit
from worker_agent.inputs import UploadedFile

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.operations.urls")]


class Marked(BaseModel):
    data: Annotated[str, UploadedFile(".csv .parquet")]
    notes: Annotated[str, UploadedFile()] | None = None


def send(client: Any, name: str = "bars.csv", content: bytes = b"a,b\n1,2\n") -> Any:
    file = io.BytesIO(content)
    file.name = name
    return client.post("/uploads", {"file": file}, format="multipart")


def upload_of(client: Any, name: str = "bars.csv", content: bytes = b"a,b\n1,2\n") -> str:
    response = send(client, name, content)
    assert response.status_code == 201, response.content
    return str(response.json()["upload_id"])


def inputs_of_next_claim() -> dict[str, str]:
    WorkerFactory()
    claim = claim_next(ME)
    assert claim is not None
    return {ref.name: ref.sha256 for ref in claim.request.inputs}


def test_an_upload_reaches_the_worker_by_a_marked_parameter_and_by_inputs(api: APIClient) -> None:
    CapabilityFactory(parameters_schema=Marked.model_json_schema())
    data, notes = upload_of(api), upload_of(api, "notes.txt", b"read me")
    submit(api, parameters={"data": data, "notes": notes}, inputs={"more.bin": {"upload": notes}})
    digests = {each.pk: each.file_id for each in Upload.objects.all()}
    assert inputs_of_next_claim() == {
        "data": digests[data],
        "notes": digests[notes],
        "more.bin": digests[notes],
    }


@pytest.mark.parametrize(
    ("name", "value", "detail"),
    [
        ("data", "unknown", "Unknown upload unknown; it may have expired or been deleted."),
        ("data", "no id", "'no id' is not the id of an upload."),
        ("data", "TEXT", "The name of the file must end with .csv or .parquet, not like 'notes.txt'."),
        ("notes", "GONE", "Unknown upload GONE; it may have expired or been deleted."),
    ],
)
def test_what_cannot_be_an_input_is_refused_at_its_parameter(
    api: APIClient, name: str, value: str, detail: str
) -> None:
    CapabilityFactory(parameters_schema=Marked.model_json_schema())
    text, gone = upload_of(api, "notes.txt"), upload_of(api, "gone.csv", b"1")
    Upload.objects.filter(pk=gone).update(expires_at=Now())
    replace = {"TEXT": text, "GONE": gone}
    parameters = {"data": upload_of(api), name: replace.get(value, value)}
    (error,) = refusal(api, parameters=parameters)
    assert error["pointer"] == f"/parameters/{name}"
    assert error["detail"].replace('"', "'") == detail.replace("GONE", gone)


@pytest.mark.parametrize("mark", [5, None, ["a"], {}, "..", "[*"])
def test_no_mark_of_a_worker_breaks_a_submission(api: APIClient, mark: Any) -> None:
    schema = {"type": "object", "properties": {"data": {"type": "string", "x-ktrdr-input": {"upload": mark}}}}
    CapabilityFactory(parameters_schema=schema)
    request = {"operation_type": "echo", "parameters": {"data": upload_of(api)}}
    assert api.post("/operations", request, format="json").status_code in (202, 422)


def test_the_same_file_is_one_upload_that_expires_later(api: APIClient) -> None:
    first = upload_of(api)
    Upload.objects.update(expires_at=Now() + timedelta(hours=1))
    assert upload_of(api) == first
    assert Upload.objects.filter(expires_at__gt=Now() + timedelta(days=29)).count() == 1
    assert upload_of(api, "other.csv") != first
    assert StoredFile.objects.count() == 1


def test_a_user_has_a_limit_and_each_file_too(
    api: APIClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MAX_UPLOAD_MB_PER_USER = 1
    first = upload_of(api, content=b"x" * 700_000)
    refused = send(api, "second.csv", b"y" * 300_001)
    assert refused.status_code == 507
    assert "may have 1 MB together" in refused.json()["detail"]
    assert api.delete(f"/uploads/{first}").status_code == 204
    upload_of(api, "second.csv", b"y" * 300_001)
    monkeypatch.setattr(received_files, "MAX_FILE_BYTES", 100)
    assert send(api, content=b"x" * 101).status_code == 413
    assert send(api, content=b"").status_code == 422
    assert api.post("/uploads", {"other": "x"}, format="multipart").status_code == 422


def test_only_the_owner_and_staff_delete_an_upload(api: APIClient) -> None:
    mine, other = upload_of(api), upload_of(api, "other.csv")
    operator, staff = Client(), Client()
    operator.force_login(member("operator"))
    staff.force_login(member("staff"))
    assert operator.delete(f"/uploads/{mine}").status_code == 403
    assert staff.delete(f"/uploads/{mine}").status_code == 204
    assert api.get(f"/uploads/{mine}").status_code == 404
    listed = operator.get("/uploads").json()["results"]
    assert [(row["upload_id"], row["name"], row["size"]) for row in listed] == [(other, "other.csv", 8)]
    assert operator.get(f"/uploads/{other}").json() == listed[0]


def test_an_expired_upload_goes_with_the_cleanup_but_not_from_its_operations(
    api: APIClient, settings: Any
) -> None:
    CapabilityFactory(parameters_schema=Marked.model_json_schema())
    used, unused = upload_of(api, content=b"used"), upload_of(api, "unused.csv", b"unused")
    operation = submit(api, parameters={"data": used})
    digests = {each.pk: each.file_id for each in Upload.objects.all()}
    Upload.objects.update(expires_at=Now() - timedelta(days=1))
    assert preview()["removed_uploads"] == 2
    removed = cleanup()
    assert removed is not None
    assert removed["removed_uploads"] == 2
    settings.ARTIFACT_RETENTION_DAYS = 0
    artifacts.remove_unreferenced()
    assert artifacts.exists(digests[used])
    assert not artifacts.exists(digests[unused])
    assert Artifact.objects.get(operation=operation).file_id == digests[used]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\bars.csv", "bars.csv"),
        ("x" * 250 + ".csv", "x" * 196 + ".csv"),
        ("<b>ä.csv", "<b>ä.csv"),
    ],
)
def test_a_name_is_the_last_part_of_what_was_sent(person: User, sent: str, stored: str) -> None:
    file = ContentFile(b"1", name=sent)  # an UploadedFile would cut the path off
    assert uploads.store(file, person).name == stored


@pytest.mark.urls("ktrdr_site.urls")
def test_the_form_of_a_type_sends_files_and_keeps_them_after_another_mistake(person: User) -> None:
    CapabilityFactory(parameters_schema={**Marked.model_json_schema(), "additionalProperties": False})
    browser = Client()
    browser.force_login(person)
    page = browser.get("/dashboard/new/echo").content.decode()
    assert 'enctype="multipart/form-data"' in page
    assert 'name="parameters.data.file"' in page
    assert 'accept=".csv,.parquet"' in page
    assert "Choose a file, or enter the id of an upload." in page
    form = {"parameters.data.file": SimpleUploadedFile("bars.csv", b"1,2"), "priority": "much"}
    refused = browser.post("/dashboard/new/echo", form)
    assert refused.status_code == 422
    upload = Upload.objects.get()
    assert f'value="{upload.pk}"' in refused.content.decode()
    accepted = browser.post("/dashboard/new/echo", {"parameters.data": upload.pk})
    assert accepted.status_code == 302, accepted.content.decode()
    operation = Operation.objects.get()
    assert operation.parameters == {"data": upload.pk}
    assert operation.artifacts.get().file_id == upload.file_id
    wrong = browser.post("/dashboard/new/echo", {"parameters.data.file": SimpleUploadedFile("a.csv", b"")})
    assert wrong.status_code == 422
    assert "The file is empty." in wrong.content.decode()


@pytest.mark.urls("ktrdr_site.urls")
def test_a_viewer_uploads_nothing() -> None:
    CapabilityFactory(parameters_schema=Marked.model_json_schema())
    browser = Client()
    browser.force_login(member("viewer"))
    form = {"parameters.data.file": SimpleUploadedFile("bars.csv", b"1,2")}
    assert browser.post("/dashboard/new/echo", form).status_code == 403
    assert not Upload.objects.exists()
