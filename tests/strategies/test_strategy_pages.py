"""Pages of strategies: list, gallery, versions, comparison, import, undo, and the forms that a strategy fills."""

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from dashboard.pages.examples import list_examples
from dashboard.pages.saved_strategies import MAX_VERSIONS
from dashboard.pages.strategy_texts import example_paths
from operations.models import Operation
from strategies.models import SavedStrategy, StrategyVersion
from tests.strategies.texts import RULES, TRAINED, variant

pytestmark = pytest.mark.django_db
AT = "/dashboard/strategies"


@pytest.fixture
def browser(client: Client, person: Any) -> Client:
    client.force_login(person)
    return client


def page_of(browser: Client, address: str) -> str:
    response = browser.get(address, follow=True)
    assert response.status_code == 200, address
    return str(response.content.decode())


def save(browser: Client, **fields: str) -> Any:
    return browser.post(f"{AT}/new", {"strategy_yaml": RULES, **fields})


def create_run(text: str) -> Operation:
    return Operation.objects.create(
        operation_type="training", parameters={"strategy_yaml": text, "symbols": ["AAPL"]}
    )


def test_a_strategy_is_saved_changed_compared_and_used(browser: Client) -> None:
    assert save(browser, name="mine").headers["Location"] == f"{AT}/mine"
    response = browser.post(
        f"{AT}/mine/save", {"strategy_yaml": variant(1), "change": "slower", "based_on": "1"}
    )
    assert response.headers["Location"] == f"{AT}/mine"
    page = page_of(browser, f"{AT}/mine")
    assert "Saved as version 2." in page
    assert "slower" in page
    assert "# variant 1" in page
    assert "Backtest this strategy" in page
    assert "# variant 1" not in page_of(browser, f"{AT}/mine?version=1")
    assert '<span class="diff-add">+# variant 1</span>' in page_of(browser, f"{AT}/mine/diff?from=1&to=2")
    for form in ("/dashboard/new/backtesting", "/dashboard/studies/new", "/dashboard/new/training"):
        assert "# variant 1" in page_of(browser, f"{form}?strategy=mine"), form


def test_a_refused_save_keeps_the_text_and_names_the_line(browser: Client) -> None:
    save(browser, name="mine")
    broken = RULES.replace("type: sma", "type: smma", 1)
    for address in (f"{AT}/new", f"{AT}/mine/save"):
        response = browser.post(address, {"strategy_yaml": broken, "based_on": "1"})
        assert response.status_code == 422
        assert "smma" in response.content.decode()
        assert re.search(r'data-goto="\d+"', response.content.decode())
    assert SavedStrategy.objects.get().versions.count() == 1


def test_a_save_over_somebody_elses_version_is_refused_once(browser: Client) -> None:
    save(browser, name="mine")
    browser.post(f"{AT}/mine/save", {"strategy_yaml": variant(1), "based_on": "1"})
    refused = browser.post(f"{AT}/mine/save", {"strategy_yaml": variant(2), "based_on": "1"})
    page = refused.content.decode()
    assert refused.status_code == 422
    assert "saved version 2 since" in page
    assert "# variant 2" in page
    found = re.search(r'name="based_on" value="(\d+)"', page)
    assert found is not None
    browser.post(f"{AT}/mine/save", {"strategy_yaml": variant(2), "based_on": found[1]})
    assert SavedStrategy.objects.get().versions.count() == 3


@pytest.mark.parametrize("digits", ["9" * 20, "9" * 5000])
def test_a_number_of_many_digits_is_no_version(browser: Client, digits: str) -> None:
    save(browser, strategy_yaml=RULES, name="one")
    form = {"strategy_yaml": variant(1), "based_on": digits}
    assert browser.post("/dashboard/strategies/one/save", form).status_code == 422
    assert browser.get("/dashboard/strategies/one", {"version": digits}).status_code == 404


def test_runs_belong_to_the_version_with_their_text(browser: Client) -> None:
    save(browser, name="mine", strategy_yaml=TRAINED)
    run = create_run(TRAINED)
    browser.post(f"{AT}/mine/save", {"strategy_yaml": f"# more\n{TRAINED}"})
    page = page_of(browser, f"{AT}/mine")
    assert f"/dashboard/operations/{run.pk}" in page
    listed = page_of(browser, AT)
    assert "Used in runs, not saved" not in listed
    assert '<td class="num" data-label="runs">1</td>' in listed


def test_a_text_of_a_run_is_listed_until_it_is_saved_and_then_leads_to_the_version(browser: Client) -> None:
    run = create_run(TRAINED)
    run.refresh_from_db()
    assert "Used in runs, not saved" in page_of(browser, AT)
    assert "Save this strategy" in page_of(browser, f"{AT}/{run.strategy}")
    assert "rsi_macd_fuzzy" in page_of(browser, f"{AT}/new?of={run.strategy}")
    save(browser, strategy_yaml=TRAINED)
    assert browser.get(f"{AT}/{run.strategy}").headers["Location"] == f"{AT}/rsi_macd_fuzzy?version=1"


@pytest.mark.parametrize("name", sorted(example_paths()))
def test_each_example_has_a_sentence_and_a_picture_and_is_saved_by_use_this(
    browser: Client, name: str
) -> None:
    example = next(example for example in list_examples() if example.name == name)
    assert len(example.sentence) > 30
    assert "<polyline" in example.picture
    assert f'href="{AT}/new?of={example.reference}"' in page_of(browser, f"{AT}/examples")
    assert f"name: {name}" in page_of(browser, f"{AT}/new?of={example.reference}")
    assert (
        save(browser, strategy_yaml=example_paths()[name].read_text()).headers["Location"] == f"{AT}/{name}"
    )


def test_files_are_imported_and_each_refused_one_is_named(browser: Client) -> None:
    files = [
        SimpleUploadedFile("good.yaml", f"\ufeff{RULES}".encode()),
        SimpleUploadedFile("other.yml", TRAINED.encode()),
        SimpleUploadedFile("bad.yaml", b"name: [\n"),
        SimpleUploadedFile("binary.yaml", b"\x00\xff\xfe" * 50),
        SimpleUploadedFile("long.yaml", b"# x\n" * 60_000),
    ]
    response = browser.post(f"{AT}/import", {"files": files}, follow=True)
    page = response.content.decode()
    assert set(SavedStrategy.objects.values_list("name", flat=True)) == {
        "moving_average_cross",
        "rsi_macd_fuzzy",
    }
    assert "Imported moving_average_cross, rsi_macd_fuzzy." in page
    for name in ("bad.yaml", "binary.yaml", "long.yaml"):
        assert f"{name}: " in page
    assert browser.post(f"{AT}/import", {}).status_code == 302


def test_a_deleted_strategy_is_restored_by_undo(browser: Client) -> None:
    save(browser, name="mine")
    page = browser.post(f"{AT}/mine/act/delete", follow=True).content.decode()
    assert f'action="{AT}/mine/act/restore"' in page
    assert browser.get(f"{AT}/mine").status_code == 404
    assert "act/restore" not in page_of(browser, AT)
    browser.post(f"{AT}/mine/act/restore")
    assert "mine" in page_of(browser, AT)


def test_labels_are_saved_and_archived_strategies_are_hidden(browser: Client) -> None:
    save(browser, name="mine")
    fields = {"name": "Other One", "title": "A title", "tags": "fx, trend", "note": "**bold** <script>"}
    response = browser.post(f"{AT}/mine/act/labels", fields)
    assert response.headers["Location"] == f"{AT}/other_one"
    page = page_of(browser, f"{AT}/other_one")
    assert "<strong>bold</strong>" in page
    assert "<script>" not in page.partition("<main")[2]
    browser.post(f"{AT}/other_one/act/archive")
    assert "A title" not in page_of(browser, AT)
    assert "A title" in page_of(browser, f"{AT}?archived=any")
    assert "A title" in page_of(browser, f"{AT}?archived=true&tag=fx&search=title")
    assert "matches the filter" in page_of(browser, f"{AT}?tag=%2F")
    assert browser.post(f"{AT}/other_one/act/explode").status_code == 404


def test_the_check_beside_the_editor_marks_lines(browser: Client) -> None:
    assert "is valid" in browser.post(f"{AT}/check", {"strategy_yaml": RULES}).content.decode()
    broken = browser.post(f"{AT}/check", {"strategy_yaml": "name: x\nversion: 1\n"}).content.decode()
    assert "data-bad-line" in broken


def test_the_list_needs_as_many_queries_for_many_strategies_as_for_one(
    browser: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(12):
        save(browser, name=f"s{number}", strategy_yaml=variant(number))
        create_run(variant(number))
    with django_assert_num_queries(13):
        browser.get(AT)


@pytest.mark.parametrize(
    "address",
    ["unknown", "0" * 32, "mine?version=9", "mine?version=x9", "mine/diff", "mine/diff?from=1&to=7"],
)
def test_pages_that_do_not_exist(browser: Client, address: str) -> None:
    save(browser, name="mine")
    expected = 200 if address.endswith("x9") else 404
    assert browser.get(f"{AT}/{address}").status_code == expected


def test_a_page_lists_the_newest_versions_and_shows_any(browser: Client) -> None:
    save(browser, name="mine")
    strategy = SavedStrategy.objects.get()
    StrategyVersion.objects.bulk_create(
        [
            StrategyVersion(strategy=strategy, number=number, text=variant(number))
            for number in range(2, MAX_VERSIONS + 21)
        ]
    )
    create_run(variant(MAX_VERSIONS + 20))
    page = page_of(browser, f"{AT}/mine")
    assert f"The newest {MAX_VERSIONS} of {MAX_VERSIONS + 20}" in page
    assert page.count('<th scope="row">') >= MAX_VERSIONS
    assert "Version 21<" in page
    assert "Version 20<" not in page
    assert "# variant 3\n" in page_of(browser, f"{AT}/mine?version=3")
    assert browser.get(f"{AT}/mine?version={MAX_VERSIONS + 21}").status_code == 404
