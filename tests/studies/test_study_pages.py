"""The pages of studies: list, form with the plan, one study, and its buttons."""

import html
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard.pages.study_charts import charts_of
from dashboard.pages.study_terms import FIGURES, OF_A_STUDY_FILE
from dashboard.views.studies import EXAMPLES
from operations import artifacts
from operations.models import Operation
from studies.models import Study
from studies.rounds import Leader
from tests.browser.sample_operations import create_import
from tests.studies.lab import work
from tests.studies.rows import POINTS, create_reported_study, create_study


@pytest.fixture
def page(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_the_form_shows_the_plan_and_then_starts_the_study(page: Client, body: dict[str, Any]) -> None:
    assert page.get("/dashboard/studies/new").status_code == 200
    planned = page.post("/dashboard/studies/new", {**body, "step": "plan"})
    assert "Sharpe ratio that luck reaches" in planned.content.decode()
    assert not Study.objects.exists()
    started = page.post("/dashboard/studies/new", {**body, "step": "start", "idempotency_key": "k"})
    study = Study.objects.get()
    assert started["Location"] == f"/dashboard/studies/{study.study_id}"
    work(Leader())
    shown = page.get(started["Location"]).content.decode()
    assert "data-submitted" in shown, "the draft of the form is deleted"
    assert "The winner traded 3 times." in shown
    assert "Leaderboard" in shown
    assert "50 trials" not in shown
    assert study.name in page.get("/dashboard/studies").content.decode()


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_fills_both_texts_with_a_plan(page: Client, example: str) -> None:
    create_import(User.objects.get(), "AAPL")
    form = page.get("/dashboard/studies/new", {"example": example})
    values = form.context["values"]
    planned = page.post("/dashboard/studies/new", {**values, "step": "plan"}).content.decode()
    assert "Sharpe ratio that luck reaches" in planned


def test_a_strategy_fills_the_form(page: Client) -> None:
    form = page.get("/dashboard/studies/new", {"strategy": "example:neuro_fuzzy_daily"}).content.decode()
    assert "name: neuro_fuzzy_daily" in form
    assert 'data-parameter-line="' in form
    assert "study: &quot;1.0&quot;" in form
    unknown = page.get("/dashboard/studies/new", {"strategy": "0" * 64, "example": "../secret"})
    assert unknown.context["values"]["strategy_yaml"] == ""


def test_the_form_shows_the_line_of_a_mistake(page: Client, body: dict[str, Any]) -> None:
    study_yaml = body["study_yaml"].replace("seed: 7", "sed: 7")
    shown = page.post("/dashboard/studies/new", {**body, "study_yaml": study_yaml, "step": "plan"})
    assert "Study: line 8: unknown key &#x27;sed&#x27;; did you mean seed?" in shown.content.decode()


def test_the_form_shows_plan_and_parameters_while_typing(page: Client, body: dict[str, Any]) -> None:
    typed = page.post("/dashboard/studies/new", {**body, "step": "typing"}).content.decode()
    assert "Sharpe ratio that luck reaches" in typed
    line = "    /decisions/confidence_threshold: {range: [0.25, 1]}"
    assert f'data-parameter-line="{line}"' in typed
    assert "/training_data/" not in typed.partition("Strategy</label>")[0]
    broken = page.post("/dashboard/studies/new", {**body, "study_yaml": "study:", "step": "typing"})
    assert "so far:" in broken.content.decode()
    assert not Study.objects.exists()


@pytest.fixture
def reported(person: User) -> Study:
    return create_reported_study(person)


def test_the_page_draws_every_part_of_the_report(reported: Study) -> None:
    drawn = charts_of(reported)
    assert [chart.id for chart in drawn.charts] == [
        "study-progress", "study-windows", "study-paths", "study-coordinates", "study-heat", "study-importance",
        "study-overfitting",
    ]  # fmt: skip
    by_id = {chart.id: chart for chart in drawn.charts}
    assert drawn.chosen == ("/indicators/slow/period", "/indicators/fast/period"), (
        "most important first, numbers only"
    )
    assert by_id["study-windows"].table.rows[0][2] == 7
    fifths = [line["data"] for line in by_id["study-heat"].spec["panes"][0]["series"]]
    assert sum(map(len, fifths)) == POINTS - 1
    lines = by_id["study-coordinates"].spec["panes"][0]["series"]
    assert all(0 <= share <= 1 for line in lines for _, share in line["data"])
    swapped = charts_of(reported, "/indicators/fast/period", "/indicators/slow/period")
    assert swapped.chosen == ("/indicators/fast/period", "/indicators/slow/period")
    assert charts_of(reported, "/nowhere", "/nowhere").chosen == drawn.chosen


@pytest.mark.parametrize("report", [{"points": 5}, {"points": {"parameters": {"a": 1}}}, {"progress": ["x"]}])
def test_a_report_that_cannot_be_drawn_is_a_sentence(
    page: Client, reported: Study, report: dict[str, Any]
) -> None:
    assert reported.reporter is not None
    file = artifacts.put([json.dumps(report).encode()])
    reported.reporter.artifacts.filter(name="report.json").update(file=file)
    shown = page.get(f"/dashboard/studies/{reported.study_id}").content.decode()
    assert "The report has an unknown format" in shown


def test_the_page_has_a_button_for_each_trial(page: Client, reported: Study) -> None:
    shown = page.get(f"/dashboard/studies/{reported.study_id}").content.decode()
    assert 'aria-label="Promote trial 2"' in shown
    assert shown.count('class="chart ') == 7


def test_each_term_is_explained_and_leads_to_its_definition(page: Client, reported: Study) -> None:
    shown = page.get(f"/dashboard/studies/{reported.study_id}").content.decode()
    form = page.get("/dashboard/studies/new").content.decode()
    for term in FIGURES.values():
        title = html.escape(term.title)
        assert shown.count(f"<dt>{title}</dt>") == 1
        assert f'aria-label="{title} in the documentation"' in shown
        assert f'href="{term.address}"' in shown
    assert "<dt>CPCV</dt>" in form
    assert "<dt>Embargo</dt>" in form
    for address in {term.address for term in (*FIGURES.values(), *OF_A_STUDY_FILE)}:
        path, _, anchor = address.partition("#")
        assert f'id="{anchor}"' in page.get(path).content.decode(), address


def test_the_leaderboard_has_only_the_parameters_that_differ(page: Client, person: User) -> None:
    study = create_study(person)
    trial = study.trials.get(number=1)
    trial.parameters["/decisions/confidence_threshold"] = 0.75
    trial.save(update_fields=["parameters"])
    shown = page.get(f"/dashboard/studies/{study.study_id}?order=number").content.decode()
    assert ">confidence_threshold</button>" in shown
    assert ">stop_loss</button>" not in shown


def test_the_live_part_reads_only_the_study(
    page: Client, person: User, django_assert_max_num_queries: Any
) -> None:
    study = create_study(person)
    address = f"/dashboard/studies/{study.study_id}"
    with django_assert_max_num_queries(6):
        live = page.get(address, headers={"HX-Request": "true"}).content.decode()
    assert 'id="live"' in live
    assert "<h1>" not in live


def test_a_change_of_status_reloads_the_page_that_shows_the_old_one(page: Client, person: User) -> None:
    study = create_study(person)
    shown = f'hx-get="/dashboard/studies/{study.study_id}?shown=RUNNING"'
    assert shown in page.get(f"/dashboard/studies/{study.study_id}").content.decode()
    address, headers = f"/dashboard/studies/{study.study_id}?shown=RUNNING", {"HX-Request": "true"}
    assert "HX-Refresh" not in page.get(address, headers=headers)
    page.post(f"/dashboard/studies/{study.study_id}/cancel")
    assert page.get(address, headers=headers)["HX-Refresh"] == "true"


def test_buttons_pause_and_resume(page: Client, person: User) -> None:
    study = create_study(person)
    for act, status in (("pause", "PAUSED"), ("resume", "RUNNING"), ("cancel", "CANCELLED")):
        page.post(f"/dashboard/studies/{study.study_id}/{act}")
        study.refresh_from_db()
        assert study.status == status


def test_the_page_extends_a_study_and_shows_why_it_cannot(page: Client, person: User) -> None:
    study = create_study(person, hours=2.0, cpu_ms=90_000.0)
    address = f"/dashboard/studies/{study.study_id}"
    shown = page.get(address).content.decode()
    assert 'name="trials"' in shown
    assert 'name="hours"' in shown
    assert "of 2 h" in shown
    extended = page.post(f"{address}/extend", {"trials": "5", "hours": "0.5"}, follow=True).content.decode()
    assert "Extended." in extended
    study.refresh_from_db()
    assert (study.planned, study.hours) == (65, 2.5)
    for fields, message in (
        ({"trials": "", "hours": ""}, "set trials, hours or both"),
        ({"trials": "2000000"}, "trials: must be at most 1000000, not 2000000"),
        ({"trials": "many"}, 'trials: must be a whole number, not "many"'),
    ):
        refused = page.post(f"{address}/extend", fields, follow=True)
        (shown,) = refused.context["messages"]
        assert message in str(shown)
    page.post(f"{address}/cancel")
    assert 'name="trials"' not in page.get(address).content.decode()


def test_a_study_is_ranked_beside_trainings_and_backtests(page: Client, body: dict[str, Any]) -> None:
    page.post("/dashboard/studies/new", {**body, "step": "start"})
    work(Leader())
    report = Operation.objects.get(operation_type="study_report")
    assert (report.title, report.run_metrics.sharpe, report.run_metrics.dsr) == ("thresholds", 0.5, 0.4)
    shown = page.get("/dashboard/runs?sort=-sharpe").content.decode()
    assert f"/dashboard/operations/{report.pk}" in shown
    assert "thresholds" in shown


def test_the_list_of_operations_leaves_batches_out(page: Client, body: dict[str, Any]) -> None:
    page.post("/dashboard/studies/new", {**body, "step": "start"})
    Leader().tick()
    batch = Operation.objects.get(operation_type="study_batch")
    assert batch.pk not in page.get("/dashboard/operations").content.decode()
    assert batch.pk in page.get("/dashboard/operations?operation_type=study_batch").content.decode()
