"""The pages of runs and tags: order, filter, settings that differ, labels, undo and export."""

import csv
import math
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import DjangoAssertNumQueries

from dashboard.pages.runs.csv_export import as_cell
from dashboard.pages.runs.table import differing
from operations.actors import Actor
from operations.labels import Labels, label
from operations.models import Operation, RunMetrics
from operations.presentation.markdown import render_markdown
from operations.runs.deflation import Trial, deflate, expected_maximum
from tests.factories import OperationFactory
from workers.backtesting import significance

pytestmark = pytest.mark.django_db
ME = Actor("test")


@pytest.fixture
def browser(client: Client, person: User) -> Client:
    client.force_login(person)
    return client


def create_run(pk: str, **metrics: Any) -> Operation:
    settings = metrics.pop("settings", {})
    run = OperationFactory(
        operation_id=pk, operation_type="backtesting", status="COMPLETED", completed_at="2026-01-01T00:00Z", title=pk,
        parameters={"symbol": "AAPL"},
    )  # fmt: skip
    RunMetrics.objects.create(operation=run, settings=settings, **metrics)
    return run


def order_of(browser: Client, query: str) -> list[str]:
    response = browser.get(f"/dashboard/runs?{query}")
    assert response.status_code == 200
    return [row.operation.pk for row in response.context["table"].rows]


def test_runs_are_sorted_on_the_server_with_undefined_values_last(browser: Client) -> None:
    for pk, sharpe in (("b", 0.5), ("a", 1.5), ("c", None)):
        create_run(pk, sharpe=sharpe)
    OperationFactory(operation_id="d", operation_type="training")
    OperationFactory(operation_id="e", operation_type="data_import")
    assert order_of(browser, "sort=-sharpe")[:2] == ["a", "b"]
    assert order_of(browser, "sort=sharpe")[:2] == ["b", "a"]
    assert set(order_of(browser, "")) == {"a", "b", "c", "d"}
    assert order_of(browser, "where=sharpe > 1") == ["a"]
    assert order_of(browser, "sort=colour") == []
    page = browser.get("/dashboard/runs?sort=-sharpe").content.decode()
    assert 'aria-sort="descending"' in page
    assert page.count("cell-sorted") == 4, "a phone shows the sorted metric first"
    assert "sort=sharpe" in page


def test_a_page_of_filtered_runs_filters_the_rows_once(browser: Client) -> None:
    for number in range(60):
        create_run(f"r{number:02}", trades=float(number))
    with CaptureQueriesContext(connection) as queries:
        response = browser.get("/dashboard/runs?where=trades >= 5&sort=trades&page=2")
    assert sum('"trades" >= 5' in query["sql"] for query in queries.captured_queries) == 1
    page = response.context["page"]
    assert (page.paginator.count, page.start_index(), page.paginator.is_cut) == (55, 51, False)
    assert [row.operation.pk for row in response.context["table"].rows] == ["r55", "r56", "r57", "r58", "r59"]


def test_a_filter_that_cannot_be_read_is_explained_and_escaped(browser: Client) -> None:
    page = browser.get("/dashboard/runs", {"where": "<b> > 1"}).content.decode()
    assert "Expected a name instead of &#x27;&lt;&#x27; at character 1" in page
    assert browser.get("/dashboard/runs.csv", {"where": "sharp > 1"}).status_code == 422
    assert browser.get("/dashboard/runs", {"where": "x" * 5000}).status_code == 200


def test_only_settings_that_differ_are_columns() -> None:
    runs = [
        {"seed": 1, "symbol": "A", "model": "x", "trial_sharpes": []},
        {"seed": 2, "symbol": "A", "model": "y", "trial_sharpes": [0.1]},
        {"only": 1},
    ]
    assert differing(runs) == ["seed"]


def test_settings_beyond_the_columns_are_named(browser: Client) -> None:
    for number in (1, 2):
        create_run(str(number), settings={f"strategy.value_{index}": number for index in range(8)})
    page = browser.get("/dashboard/runs")
    assert len(page.context["table"].settings) == 6
    assert page.context["table"].more_settings == ["Value 6", "Value 7"]
    assert len(browser.get("/dashboard/runs?settings=all").context["table"].settings) == 8


def test_the_number_of_queries_does_not_grow_with_the_number_of_runs(
    browser: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        run = create_run(f"run{number}", sharpe=number / 10, settings={"seed": number}, curve=[1.0, 2.0])
        label(run.pk, Labels(tags=["fx"]), ME)
    with django_assert_num_queries(7):
        browser.get("/dashboard/runs?sort=-sharpe&where=tag = fx")
    with django_assert_num_queries(9):
        browser.get("/dashboard/tags/fx")


def test_selected_runs_are_tagged_archived_deleted_and_restored(browser: Client) -> None:
    runs = [create_run(pk).pk for pk in "ab"]
    here = "/dashboard/runs?sort=created"

    def act(name: str, **fields: str) -> str:
        form = {"act": name, "operation": runs, "next": here, **fields}
        return browser.post("/dashboard/act", form, follow=True).content.decode()

    assert "Tag: 2 of 2 operations." in act("tag", tag="FX")
    assert set(Operation.objects.filter(tags="fx")) == set(Operation.objects.all())
    assert "a tag has at most" in act("tag", tag="a/b")
    assert "Untag: 2 of 2 operations." in act("untag", tag="fx")
    act("archive")
    assert order_of(browser, "") == []
    assert set(order_of(browser, "shown=archived")) == set(runs)
    act("unarchive")
    deleted = act("delete")
    assert "Deleted 2 operations." in deleted
    assert "Undo" in deleted
    assert "Undo" not in browser.get(here).content.decode(), "only the next page offers it"
    assert set(order_of(browser, "shown=deleted")) == set(runs)
    act("restore")
    assert set(order_of(browser, "")) == set(runs)


def test_the_page_of_an_operation_changes_its_labels(browser: Client) -> None:
    run = create_run("a")
    form = {
        "title": "Best",
        "tags": "fx, Daily bars",
        "note": "Compare **hold**\n\n<script>alert(1)</script>",
    }
    page = browser.post(f"/dashboard/operations/{run.pk}/labels", form, follow=True).content.decode()
    assert "<strong>hold</strong>" in page
    assert "<script>alert" not in page
    assert "/dashboard/tags/daily-bars" in page
    refused = browser.post(f"/dashboard/operations/{run.pk}/labels", {"tags": "a/b"}, follow=True)
    assert "tags: a tag has at most" in refused.content.decode()
    page = browser.post(f"/dashboard/operations/{run.pk}/act/delete", follow=True).content.decode()
    assert "Deleted 1 operation." in page
    assert browser.get(f"/dashboard/operations/{run.pk}").status_code == 404


def test_a_dismissed_failure_no_longer_needs_attention(browser: Client) -> None:
    failed = OperationFactory(
        status="FAILED", error_class="job", error_message="boom", completed_at="2026-01-01T00:00Z"
    )
    browser.post(f"/dashboard/operations/{failed.pk}/act/dismiss")
    assert Operation.objects.get().dismissed_at is not None


def test_the_export_has_plain_numbers_and_the_settings_that_differ(browser: Client) -> None:
    create_run("a", sharpe=1.25, settings={"seed": 1, "same": 1})
    create_run("b", sharpe=None, settings={"seed": 2, "same": 1})
    Operation.objects.filter(pk="b").update(title='=HYPERLINK("x")')
    response = browser.get("/dashboard/runs.csv?sort=title")
    rows = list(csv.DictReader(response.getvalue().decode().splitlines()))
    by_id = {row["operation_id"]: row for row in rows}
    assert by_id["a"]["sharpe"] == "1.25"
    assert by_id["b"]["sharpe"] == ""
    assert by_id["b"]["title"] == '\'=HYPERLINK("x")'
    assert [by_id[pk]["seed"] for pk in "ab"] == ["1", "2"]
    assert "same" not in rows[0]
    only = browser.get("/dashboard/runs.csv?operation=a").getvalue().decode()
    assert len(only.splitlines()) == 2


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx"])
def test_text_in_a_cell_is_no_formula(text: str) -> None:
    assert as_cell(text) == f"'{text}"
    assert as_cell(-1.5) == -1.5


def test_the_page_of_a_tag_has_goal_note_and_leaderboard(browser: Client) -> None:
    for pk, sharpe, psr in (("a", 1.0, 0.9), ("b", 2.0, 0.99), ("c", 0.1, 0.55)):
        label(create_run(pk, sharpe=sharpe, psr=psr).pk, Labels(tags=["fx"]), ME)
    browser.post("/dashboard/tags/fx/change", {"goal": "robust", "note": "# Plan"})
    response = browser.get("/dashboard/tags/fx")
    page = response.content.decode()
    assert "robust" in page
    assert "<h3>Plan</h3>" in page
    rows = response.context["table"].rows
    assert [row.operation.pk for row in rows] == ["b", "a", "c"]
    assert float(rows[0].deflated.split()[0]) < 99
    assert "fx" in browser.get("/dashboard/tags").content.decode()
    assert browser.get("/dashboard/tags/unused").status_code == 404
    assert browser.get("/dashboard/tags/a%2Fb").status_code == 404


@pytest.mark.parametrize("seed", range(3))
def test_the_deflated_ratio_is_that_of_the_workers(seed: int) -> None:
    returns = np.random.default_rng(seed).normal(0.001, 0.01, (8, 400))
    ratios = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
    trials = [
        Trial(float(ratio) * math.sqrt(252), significance.probabilistic_sharpe(row, 0.0))
        for ratio, row in zip(ratios, returns, strict=True)
    ]
    expected = [significance.deflated_sharpe(row, len(returns), ratios) for row in returns]
    assert deflate([*trials, trials[0]])[:8] == pytest.approx(expected)


def test_a_ratio_that_is_undefined_has_no_deflated_one() -> None:
    assert deflate([Trial(None, None), Trial(0.0, 0.5), Trial(1.0, 1.0), Trial(1.0, None)]) == [None] * 4
    assert deflate([Trial(1.0, 0.8)]) == pytest.approx([0.8]), "a single trial is not deflated"
    assert expected_maximum([]) == 0.0


@pytest.mark.parametrize(
    "note",
    [
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "![x](https://example.org/x.png)",
        '<a href="data:text/html,x">x</a>',
        "[x](https://example.org 'onmouseover=alert(1)')",
        "<style>body{display:none}</style>",
        "[a]: javascript:alert(1)\n[a]",
    ],
)
def test_a_note_contains_no_script_and_loads_nothing(note: str) -> None:
    elements = Elements()
    elements.feed(str(render_markdown(note)))
    assert elements.names <= {"p", "a"}
    assert all(address.startswith("https://") for address in elements.addresses)


class Elements(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]
        assert {name for name, _ in attrs} <= {"href", "rel", "title"}
