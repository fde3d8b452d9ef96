"""One trial in the API, and what a study reports about its own origin."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from studies import proposing
from studies.models import Study
from studies.rounds import Leader
from tests.factories import OperationFactory
from tests.studies.lab import STUDY, work
from tests.studies.rows import DETAILS, TRAINING, create_study, keep_archive, keep_details
from workers.strategy.document import write_document
from workers.studies.archive import pack
from workers.studies.messages import Trial


def test_a_trial_has_its_folds_learning_curves_log_and_operation(api: APIClient, person: User) -> None:
    study = create_study(person)
    operation = keep_details(study, 1)
    trial = api.get(f"/studies/{study.study_id}/trials/1").json()
    assert {name: trial[name] for name in DETAILS} == DETAILS
    assert trial["operation_id"] == operation.pk
    other = api.get(f"/studies/{study.study_id}/trials/2").json()
    assert (other["folds"], other["trainings"], other["log"]) == ([], [], [])
    assert api.get(f"/studies/{study.study_id}/trials/3").status_code == 404


def test_the_page_of_a_trial_shows_its_details_and_its_promotion(client: Client, person: User) -> None:
    study = create_study(person, cpu_ms=5.0)
    operation = keep_details(study, 1)
    study.trials.filter(number=2).update(state="failed", value=None, error="a <bad> point")
    client.force_login(person)
    address = f"/dashboard/studies/{study.study_id}"
    assert f'href="{address}/trials/1"' in client.get(address).content.decode()
    response = client.get(f"{address}/trials/1")
    text = response.content.decode()
    for part in ("Trial 1", "/decisions/confidence_threshold", "&lt;2&gt; epochs", "Promote the trial"):
        assert part in text, part
    assert f"/dashboard/operations/{operation.pk}" in text
    shown = response.context["shown"]
    assert (shown.folds, shown.trainings) == ([0.5, None], [TRAINING])
    assert shown.curves.spec["panes"][0]["series"][0]["data"] == [(1, 1.1), (2, 0.8)]
    assert shown.runs == []
    failed = client.get(f"{address}/trials/2").content.decode()
    assert "a &lt;bad&gt; point" in failed
    assert "Promote the trial" not in failed
    for number in (3, 2**31, 10**30):
        assert client.get(f"{address}/trials/{number}").status_code == 404


def test_figures_of_a_trial_have_the_unit_of_their_metric(client: Client, person: User) -> None:
    study = create_study(person)
    keep_details(study, 1)
    Study.objects.filter(pk=study.pk).update(
        spec=study.spec | {"objective": {"metric": "total_return", "maximize": True}}
    )
    study.trials.filter(number=1).update(
        value=3.006, scores={"total_return": 3.25, "sharpe": 1.234, "trades": 12.0}
    )
    client.force_login(person)
    address = f"/dashboard/studies/{study.study_id}"
    assert "300.6 %" in client.get(address).content.decode(), "in the leaderboard"
    response = client.get(f"{address}/trials/1")
    assert response.context["shown"].figures == [
        ("Total return", "325.0 %"),
        ("Sharpe", "1.23"),
        ("Trades", "12"),
    ]
    text = response.content.decode()
    for part in ("300.6 %", "50.0 %", 'title="/decisions/confidence_threshold">confidence_threshold<'):
        assert part in text, part


def test_the_page_of_a_trial_names_what_it_was_promoted_to(client: Client, person: User) -> None:
    study = create_study(person, model_id=OperationFactory(operation_type="training").pk)
    text = write_document(proposing.bound_study(study).values_of(study.trials.get(number=1).parameters))
    parameters = {"strategy_yaml": text, "symbol": "XY", "model": study.model_id}
    promoted = OperationFactory(operation_type="backtesting", parameters=parameters)
    client.force_login(person)
    shown = client.get(f"/dashboard/studies/{study.study_id}/trials/1").context["shown"]
    assert [run.pk for run in shown.runs] == [promoted.pk]


@pytest.mark.parametrize(
    "content",
    [
        b"not a zip",
        pack({"1.json": b"[" * 100_000}),
        pack({"1.json": b"[1]"}),
        pack({"1.json": b'{"folds": [NaN]}'}),
        pack({"1.json": b'{"log": ["' + bytes(20_000_000) + b'"]}'}),
    ],
    ids=["no zip", "nested", "no object", "NaN", "bomb"],
)
def test_details_that_no_batch_writes_are_left_out(api: APIClient, person: User, content: bytes) -> None:
    study = create_study(person)
    keep_archive(study, content)
    trial = api.get(f"/studies/{study.study_id}/trials/1").json()
    assert (trial["folds"], trial["trainings"], trial["log"]) == ([], [], [])


def test_details_do_not_replace_the_result_of_their_trial(api: APIClient, person: User) -> None:
    study = create_study(person)
    keep_archive(study, pack({"1.json": b'{"value": 99, "log": ["a line"]}'}))
    trial = api.get(f"/studies/{study.study_id}/trials/1").json()
    assert (trial["value"] == 99, trial["log"]) == (False, ["a line"])


def test_another_version_of_optuna_is_stored_and_warned_about(api: APIClient, person: User) -> None:
    study = create_study(person)
    for version in ("5.0.0", "5.0.0", "5.1.0"):
        proposing.note_optimizer(study, version)
    answer = api.get(f"/studies/{study.study_id}").json()
    assert answer["optimizer_version"] == "5.0.0, 5.1.0"
    assert [warning["code"] for warning in answer["warnings"]] == ["optimizer_changed"]
    assert study.events.get().reason == "Optuna 5.1.0 continues what Optuna 5.0.0 started"


def test_a_study_of_tpe_stores_the_version_that_proposes(api: APIClient, body: dict[str, Any]) -> None:
    optuna = pytest.importorskip("optuna")
    api.post("/studies", {**body, "study_yaml": STUDY.replace("random", "tpe")})
    Leader().tick()
    assert Study.objects.get().optimizer_version == optuna.__version__


def test_the_same_study_again_does_not_count_its_own_trials_as_earlier_ones(
    api: APIClient, body: dict[str, Any]
) -> None:
    for _ in range(2):
        plan = api.post("/studies", body).json()["plan"]
        assert plan["counted_before"] == 0
        work(Leader(), rounds=300)
        Leader().stop()
        Study.objects.update(name="done")
    other = api.post("/studies", {**body, "study_yaml": STUDY.replace("seed: 7", "seed: 8")}).json()
    assert other["plan"]["counted_before"] == 40


def test_values_that_are_lists_are_stored_as_json(person: User) -> None:
    study = create_study(person, trials=0)
    (trial,) = proposing.insert_trials(study, 0, [{"/model/architecture/hidden_layers": ((16, 8), 4)}])
    assert trial == Trial(number=0, point={"/model/architecture/hidden_layers": [[16, 8], 4]})
    assert study.trials.get().parameters == trial.point
