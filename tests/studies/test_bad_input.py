"""Each kind of bad input of a study, as the API answers it: status, place and a sentence with the number and a remedy."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from operations.models import MarketData, StoredFile
from studies.models import Study
from studies.rounds import Leader
from tests.studies.lab import STUDY, evaluate, work
from workers.studies.messages import Trial

Body = dict[str, Any]
THRESHOLD = "    /decisions/confidence_threshold: {range: [0.3, 0.9]}\n"
TRAINED = STUDY.replace(THRESHOLD, "    /training/labels/horizon: {range: [2, 9]}\n")
MANY = THRESHOLD + "".join(f"    /backtest/{at}: {{range: [1, 2]}}\n" for at in range(30))

REFUSED = {
    "grid above a million": (
        STUDY.replace("method: random\n  trials: 40", "method: grid").replace(
            THRESHOLD, "    /decisions/confidence_threshold: {range: [0.3, 0.9], step: 0.000001}\n"
        ),
        5,
        "the grid has 1,800,003 points; the limit is 1,000,000; use method: halton, trials: 2000",
    ),
    "tpe above 10,000": (
        STUDY.replace("method: random\n  trials: 40", "method: tpe\n  trials: 10001"),
        7,
        "tpe is limited to 10,000 trials, not 10,001; use method: halton, trials: 20000",
    ),
    "trials above a million": (
        STUDY.replace("trials: 40", "trials: 1000001"),
        7,
        "a study is limited to 1,000,000 trials, not 1,000,001; write trials: 1000000",
    ),
    "more than 30 parameters": (
        STUDY.replace(THRESHOLD, MANY),
        9,
        "32 parameters are searched; the limit is 30; fix the less important ones",
    ),
    "file above 200 kB": (
        STUDY + "#" * (200_001 - len(STUDY)),
        1,
        "the file has 200,001 characters; the limit is 200,000; use ranges, not lists",
    ),
    "parallel above 1,000": (
        STUDY + "budget: {parallel: 1001}\n",
        12,
        "parallel must be at most 1,000, not 1,001; leave it out for half of the workers",
    ),
    "pointer not in the strategy": (
        STUDY.replace("confidence_threshold", "confidence_treshold"),
        10,
        "'/decisions/confidence_treshold' is not in the strategy; did you mean /decisions/confidence_threshold?",
    ),
    "pointer to the name": (
        STUDY.replace(THRESHOLD, "    /name: {choices: [a]}\n"),
        10,
        "/name does not change a result, so it cannot be searched",
    ),
    "pointer to the version": (
        STUDY.replace(THRESHOLD, '    /version: {choices: ["3.0"]}\n'),
        10,
        "/version does not change a result, so it cannot be searched",
    ),
    "corner that the grammar refuses": (
        STUDY.replace("[0.3, 0.9]", "[0.3, 1.9]"),
        10,
        (
            "the grammar refuses the point /decisions/confidence_threshold = 1.9, /backtest/stop_loss = null: "
            "/decisions/confidence_threshold: must be at most 1, not 1.9"
        ),
    ),
    "where leaves nothing": (
        STUDY + '  where: ["/decisions/confidence_threshold > 2"]\n',
        12,
        "where excludes every point; widen the ranges or relax where",
    ),
    "test windows longer than the data": (
        STUDY + "validation: {scheme: walk_forward, train: 2000, test: 500}\n",
        12,
        "the first fold needs 2,500 bars (train 2,000, test 500), but XY has 2,250 bars in the search part",
    ),
    "objective on the part it trains on": (
        STUDY + "objective: {over: training}\n",
        12,
        "this is not a test: the objective would be measured on the part that the trials train on; use folds",
    ),
    "holdout from the first day of the calendar": (
        STUDY.replace("from: 2009-01-01", "from: 0001-01-01"),
        4,
        "the holdout from 0001-01-01 leaves no day to search; let it start later",
    ),
    "holdout inside the search data": (
        STUDY.replace("{from: 2009-01-01}", "{from: 2008-01-01, until: 2008-12-31}"),
        4,
        (
            "this is not a test: the holdout lies inside the search data, 2008-12-31 to 2009-12-31 would be searched; "
            "set data.until to 2008-12-31"
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("study_yaml", "line", "message"), REFUSED.values(), ids=REFUSED)
def test_a_study_that_cannot_be_run_is_refused_with_place_number_and_remedy(
    api: APIClient, body: Body, study_yaml: str, line: int, message: str
) -> None:
    answer = api.post("/studies", {**body, "study_yaml": study_yaml})
    assert answer.status_code == 422, answer.content
    error = answer.json()["errors"][0]
    assert (error["line"], error["detail"]) == (line, message)
    assert error["pointer"].startswith("/study_yaml")
    assert not Study.objects.exists()


@pytest.mark.parametrize("place", ["validation", "finalists: {validation"])
def test_groups_shorter_than_three_embargoes_are_refused(api: APIClient, body: Body, place: str) -> None:
    """2,250 bars in 20 groups are 112 each; the labels look 60 bars ahead, so a group needs 180."""
    closing = "}" if "{" in place else ""
    study_yaml = TRAINED.replace("[2, 9]", "[50, 60]") + f"{place}: {{scheme: cpcv, groups: 20}}{closing}\n"
    strategy_yaml = body["strategy_yaml"].replace("horizon: 5", "horizon: 60")
    assert strategy_yaml != body["strategy_yaml"]
    answer = api.post("/studies", {"strategy_yaml": strategy_yaml, "study_yaml": study_yaml})
    assert answer.status_code == 422, answer.content
    (error,) = answer.json()["errors"]
    assert error["detail"] == (
        "each of 20 groups would have 112 bars, and the embargo needs 180: XY has 2,250 bars in the search part; "
        "use fewer groups"
    )
    assert error["line"] == 12


def test_a_condition_that_leaves_less_than_a_tenth_is_a_warning_with_the_share(
    api: APIClient, body: Body
) -> None:
    study_yaml = STUDY + '  where: ["/decisions/confidence_threshold > 0.87"]\n'
    (warning,) = api.post("/studies/validate", {**body, "study_yaml": study_yaml}).json()["warnings"]
    assert warning["code"] == "few_points"
    assert "% of the points" in warning["message"]


def test_a_new_study_reports_that_the_data_of_an_earlier_one_have_changed(api: APIClient, body: Body) -> None:
    assert api.post("/studies", body).status_code == 202
    other = STUDY.replace("seed: 7", "seed: 8")
    assert api.post("/studies/validate", {**body, "study_yaml": other}).json()["warnings"] == []
    MarketData.objects.update(file=StoredFile.objects.create(sha256="ab" * 32, size=1))
    (warning,) = api.post("/studies/validate", {**body, "study_yaml": other}).json()["warnings"]
    assert warning["code"] == "data_changed"
    day = f"{Study.objects.get().created_at:%Y-%m-%d}"
    assert warning["message"] == (
        f"the bars of XY have changed since study thresholds of {day}; figures of earlier studies are not comparable"
    )


def test_a_second_study_with_one_spec_is_allowed_and_named(api: APIClient, body: Body) -> None:
    assert api.post("/studies", body).json()["plan"]["warnings"] == []
    again = api.post("/studies", {**body, "study_yaml": STUDY.replace("name: thresholds", "name: again")})
    assert again.status_code == 202
    (warning,) = again.json()["plan"]["warnings"]
    assert warning["code"] == "same_study"
    assert "has the same spec, strategy and data; the trials of both count once" in warning["message"]


@pytest.mark.parametrize("valued", [0, 1])
def test_trials_without_a_value_are_completed_and_never_best(api: APIClient, body: Body, valued: int) -> None:
    def evaluated(trial: Trial) -> tuple[str, float | None]:
        return evaluate(trial) if trial.number < valued else ("completed", None)

    url = api.post("/studies", body).json()["url"]
    work(Leader(), evaluated)
    study = api.get(url).json()
    assert (study["status"], study["verdict"], study["trials"]["completed"]) == ("COMPLETED", "open", 40)
    assert study["best"] is None if not valued else study["best"]["number"] == 0
