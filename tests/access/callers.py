"""The callers: a client for each column of the access table, and the rows that their requests concern."""

import copy
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client

from access.actors import Actor
from dashboard.pages.strategies import list_strategies
from ktrdr_site.models import ApiToken
from operations import artifacts, sharing, uploads
from operations.models import Artifact, MarketData, Operation, Subscription, Tag
from registry import enrolment, worker_secrets
from registry.auth import worker_token
from registry.models import EnrolmentToken
from strategies.models import SavedStrategy, StrategyVersion
from tests.access.routes import Route
from tests.browser.population import populate
from tests.factories import WorkerFactory
from tests.studies.rows import create_study

QUERIES = {
    "dashboard/operations/<id:operation_id>/log": "after=0",
    "dashboard/operations/<id:operation_id>/trades/drawn": "number=1",
    "dashboard/strategies/text": "of={digest}",
    "dashboard/strategies/<id:name>/diff": "from=1&to=2",
}
FORMS = {
    "dashboard/tokens/create": {"kind": "api", "name": "of a test"},
    "dashboard/act": {"act": "cancel", "operation": "{operation_id}"},
}
ACTS = {
    "users": "sign-out",
    "workers": "cordon",
    "notifications": "test",
    "strategies": "archive",
    "second-factor": "start",
    "schedules": "pause",
}
"""What a request has to say for its answer to depend on who asks."""
COLUMNS = ("anonymous", "viewer", "operator", "staff", "worker", "old worker", "enrolment")
SIGN_IN = ("/dashboard/login", "/admin/login/")


def member(name: str) -> User:
    user = User.objects.create_user(f"a-{name}", password="a-long-enough-password")
    user.groups.add(Group.objects.get(name=name))
    return user


def bearer(token: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token}"})


@dataclass
class Callers:
    """People come with a session, which both pages and API take; `old worker` is another incarnation of `worker`."""

    clients: dict[str, Client]
    tokens: dict[str, Client]
    """The same people with an API token."""
    values: dict[str, Any]

    @classmethod
    def made(cls) -> "Callers":
        people = {name: member(name) for name in ("viewer", "operator", "staff")}
        ids = populate(people["operator"])
        worker = WorkerFactory(worker_id="its-worker", instance_id="new")
        pool, enrolment_token = enrolment.issue("pool", [], Actor("test"), operation_types=["training"])
        clients = {"anonymous": Client(), **{name: Client() for name in people}}
        for name, user in people.items():
            clients[name].force_login(user)
        clients["worker"] = bearer(worker_token(worker.pk, "new"))
        clients["old worker"] = bearer(worker_token(worker.pk, "old"))
        clients["enrolment"] = bearer(enrolment_token)
        tokens = {name: bearer(ApiToken.issue(user, "of a test")) for name, user in people.items()}
        return cls(clients, tokens, cls._values(ids, worker.pk, pool, people))

    @staticmethod
    def _values(
        ids: dict[str, str], worker_id: str, pool: EnrolmentToken, people: dict[str, User]
    ) -> dict[str, Any]:
        operation = Operation.objects.get(pk=ids["running"])
        stored = artifacts.put([b"{}"])
        Artifact.objects.create(operation=operation, role="output", name="out.json", file_id=stored.sha256)
        worker_secrets.save("out.json", "a value of a test", ["echo"], Actor("test"))
        upload = uploads.store(SimpleUploadedFile("bars.csv", b"1"), people["operator"])
        Tag.objects.create(name="out.json", goal="a tag and an artifact of one name")
        for number in (1, 2):
            saved = SavedStrategy.objects.get_or_create(name="out.json")[0]
            StrategyVersion.objects.create(strategy=saved, number=number, text="name: x")
        bars = MarketData.objects.all()[0]
        MarketData.objects.filter(pk=bars.pk).update(file=stored)
        # A small number, because a trial of the study has it too; the sequence continues from test to test.
        number = 1 + (ids["subscription"] == "1")
        Subscription.objects.create(pk=number, name="x", channel="email", target="x@example.org")
        return {
            "seed_run_id": ids["seed_run"],
            "upload_id": upload.pk,
            "schedule_id": ids["schedule"],
            "study_id": create_study(people["operator"], trials=number + 1).study_id,
            "operation_id": operation.pk,
            "trained": ids["trained"],
            "backtested": ids["backtested"],
            "worker_id": worker_id,
            "operation_type": "training",
            "name": "out.json",
            "document": "runs",
            "picture": "overview.png",
            "sha256": stored.sha256,
            "symbol": bars.symbol,
            "timeframe": bars.timeframe,
            "digest": list_strategies()[0].digest,
            "pool": pool.pk,
            "number": number,
            "people": people,
            "user_id": people["viewer"].pk,
            "token": sharing.share(
                Operation.objects.get(pk=ids["backtested"]),
                7,
                Actor.person(people["operator"].username, people["operator"].pk),
            ),
        }

    def address(self, route: Route, caller: str) -> str:
        people: dict[str, User] = self.values["people"]
        owner = people.get(caller, people["staff"])
        values = {
            **self.values,
            "kind": "training" if route.pattern.startswith("dashboard/new") else "api",
            "act": next((act for room, act in ACTS.items() if room in route.pattern), "cancel"),
            "token_id": self.values["pool"]
            if route.pattern.startswith("enrolment")
            else ApiToken.objects.filter(user=owner)[0].pk,
        }
        if "/trades" in route.pattern:
            values["operation_id"] = self.values["backtested"]
        if route.pattern.endswith(("clone",)):
            values["operation_id"] = self.values["trained"]
        return route.address(values)

    def ask(self, client: Client, method: str, route: Route, caller: str) -> str:
        """`yes`, `login` (sent to the sign-in page), or the status by which it was refused."""
        form = {name: value.format(**self.values) for name, value in FORMS.get(route.pattern, {}).items()}
        query = QUERIES.get(route.pattern, "").format(**self.values)
        return verdict(asked(client, method, f"{self.address(route, caller)}?{query}", form))


def asked(client: Client, method: str, address: str, form: dict[str, str], body: str = "") -> Any:
    """The answer to a request that leaves nothing behind."""
    cookies = copy.deepcopy(client.cookies)
    with transaction.atomic():
        point = transaction.savepoint()
        if form:
            answer = client.post(address, form)
        else:
            answer = client.generic(method, address, body, content_type="application/json")
        if answer.streaming:
            b"".join(answer.streaming_content)  # type: ignore[arg-type]  # closes the file
        transaction.savepoint_rollback(point)
    client.cookies = cookies
    return answer


def verdict(answer: Any) -> str:
    status = answer.status_code
    if status in (301, 302) and answer["Location"].startswith(SIGN_IN):
        return "login"
    # Let in, and then told that an empty request makes no sense, is let in.
    if status in (200, 201, 202, 204, 301, 302, 400, 409, 415, 422, 503):
        return "yes"
    return str(status)
