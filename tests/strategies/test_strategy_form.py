"""The form view of a strategy: what it shows, what it writes, and that everything else stays."""

import re
from typing import Any

import pytest
import yaml
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.pages.strategy_texts import example_paths
from strategies.form.parts import Entry
from strategies.form.reading import MAX_CHARACTERS, build_form
from strategies.form.writing import apply_form
from strategies.models import SavedStrategy
from tests.page_forms import read_forms
from tests.strategies.texts import RULES, TRAINED
from workers.strategy.document import read_document
from workers.strategy.text_edits import EditError

FORM = "/dashboard/strategies/form"
TEXTS = {name: path.read_text() for name, path in example_paths().items()}
OTHERS = {
    "unknown keys": RULES.replace("model:", "someday: {a: [1, {b: 2}]} # why\nmodel:"),
    "wrong types": RULES.replace("period: 20", "period: [20] # a list").replace(
        "type: rules", "type: nonsense"
    ),
    "no sections": "name: x # only a name\n",
    "quotes": 'name: "  two  spaces "\nversion: 3.0\nindicators: {"odd name": {type: rsi, period: 1e1}} # flow\n',
    "windows": TRAINED.replace("\n", "\r\n"),
}
ENTERED = st.sampled_from(
    ["7", "0.25", "x y", "close > 1 # not a comment", "a, b", "1, 2, 3", "", "true", "null", "'"]
)


def entries_of(text: str) -> dict[str, Entry]:
    return {
        entry.field.name: entry
        for section in build_form(text)
        for group in section.walk()
        for entry in group.entries
    }


def values_shown(text: str) -> dict[str, str]:
    return {name: entry.field.value for name, entry in entries_of(text).items()}


def comments_of(text: str) -> list[str]:
    bare = text
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        if isinstance(token, yaml.ScalarToken):
            start, end = token.start_mark.index, token.end_mark.index
            bare = f"{bare[:start]}{' ' * (end - start)}{bare[end:]}"
    return re.findall(r"#.*", bare)


@pytest.mark.parametrize("text", [*TEXTS.values(), *OTHERS.values()], ids=[*TEXTS, *OTHERS])
def test_a_form_that_nobody_changed_leaves_every_character(text: str) -> None:
    assert apply_form(text, values_shown(text)) == text


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([*sorted(TEXTS.values()), OTHERS["unknown keys"]]), ENTERED, st.data())
def test_a_changed_field_changes_one_value_and_the_form_shows_it(
    text: str, entered: str, data: st.DataObject
) -> None:
    fields = entries_of(text)
    selectors = {"/model/type"} | {
        f"{group.name}/{group.selector}"
        for section in build_form(text)
        for group in section.walk()
        if group.selector
    }
    name = data.draw(st.sampled_from(sorted(set(fields) - selectors)))
    changed = apply_form(text, {**values_shown(text), name: entered})
    comments = comments_of(text)
    if not entered:  # what explains the entry on its own line goes with it
        key = name.rpartition("/")[2]
        own = re.findall(rf"^ *{key}:[^#\n]*(#.*)", text, re.MULTILINE)
        comments = [comment for comment in comments if comment not in own or comment in changed]
    assert comments_of(changed) == comments
    before, after = values_shown(text), values_shown(changed)
    assert {key for key in before if before[key] != after.get(key)} <= {name}
    if entered:
        value = fields[name].shape.value_of(entered, fields[name].old)
        assert after[name] == fields[name].shape.text_of(value)
    assert (
        apply_form(changed, {**after, name: before[name]}) == text
        or not before[name]
        or not entered
        or (
            read_document(apply_form(changed, {**after, name: before[name]})).data == read_document(text).data
        )
    )


def test_another_type_drops_the_keys_that_only_the_former_has() -> None:
    changed = apply_form(TRAINED, {"/training/labels/source": "forward_return"})
    labels = read_document(changed).data["training"]["labels"]
    assert labels == {"source": "forward_return"}
    assert "pt_multiplier" in TRAINED
    assert len(changed.splitlines()) == len(TRAINED.splitlines()) - 5


def test_entries_are_added_and_removed_below_their_section() -> None:
    text = apply_form(RULES, {"add/indicators:name": "strength", "add/indicators:type": "rsi"})
    text = apply_form(text, {"add/fuzzy_sets:name": "force", "add/fuzzy_sets:indicator": "strength"})
    text = apply_form(text, {"add/fuzzy_sets/force:name": "odd", "add/fuzzy_sets/force:numbers": "1, 2, 3.5"})
    text = apply_form(text, {"add/constants:name": "limit", "add/constants:number": "30"})
    data = read_document(text).data
    assert data["indicators"]["strength"] == {"type": "rsi"}
    assert data["fuzzy_sets"]["force"] == {
        "indicator": "strength",
        "low": (0, 0, 25, 50),
        "middle": (25, 50, 75),
        "high": (50, 75, 100, 100),
        "odd": (1, 2, 3.5),
    }
    assert data["constants"] == {"limit": 30}
    for name in ("/constants/limit", "/fuzzy_sets/force", "/indicators/strength"):
        posted = {"/constants/limit": ""} if name == "/constants/limit" else {"remove": name}
        text = apply_form(text, posted)
    assert read_document(text).data == read_document(RULES).data | {"constants": {}, "fuzzy_sets": {}}
    assert re.findall(r"#.*", text) == re.findall(r"#.*", RULES)


def test_inputs_are_added_changed_and_removed() -> None:
    text = apply_form(TRAINED, {"add/nn_inputs:source": "raw_indicator: rsi_14", "remove": "/nn_inputs/0"})
    text = apply_form(text, {**values_shown(text), "/nn_inputs/1/normalization": "zscore"})
    assert read_document(text).data["nn_inputs"] == (
        {"fuzzy_set": "impulse", "timeframes": "all"},
        {"raw_indicator": "rsi_14", "normalization": "zscore"},
    )


@pytest.mark.parametrize(
    "posted",
    [
        {"add/indicators:name": "1st", "add/indicators:type": "rsi"},
        {"add/indicators:name": "fast", "add/indicators:type": "rsi"},
        {"add/indicators:name": "new", "add/indicators:type": ""},
        {"add/fuzzy_sets:name": "new", "add/fuzzy_sets:indicator": "unknown"},
    ],
)
def test_entries_without_a_usable_name_or_type_are_refused(posted: dict[str, str]) -> None:
    with pytest.raises(EditError):
        apply_form(RULES, posted)


@pytest.fixture
def browser(client: Client, person: Any) -> Client:
    client.force_login(person)
    return client


def inputs(response: Any) -> dict[str, str]:
    (form,) = [form for form in read_forms(response.content.decode()) if form.id == "strategy-form"]
    return {name: values[-1] if values else "" for name, values in form.fields.items()}


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(TEXTS))
def test_an_example_goes_through_the_form_unchanged(browser: Client, name: str) -> None:
    posted = inputs(browser.get(f"{FORM}?of=example:{name}"))
    assert len(posted) > 25
    response = browser.post(FORM, {**posted, "step": "save", "name": "kept"})
    assert response.headers["Location"] == "/dashboard/strategies/kept"
    assert SavedStrategy.objects.get().versions.get().text == TEXTS[name]


@pytest.mark.django_db
def test_a_saved_strategy_is_changed_in_the_form_and_back_in_the_text(browser: Client) -> None:
    browser.post("/dashboard/strategies/new", {"strategy_yaml": TRAINED, "name": "mine"})
    editor = {"strategy_yaml": f"# mine\n{TRAINED}", "saved": "mine", "based_on": "1", "change": "slower"}
    posted = inputs(browser.post(FORM, editor))
    assert posted["change"] == "slower"
    assert posted["/indicators/rsi_14/period"] == "14"
    posted["/indicators/rsi_14/period"] = "21"
    page = browser.post(FORM, {**posted, "step": "text"}).content.decode()
    assert "# mine" in page
    assert "{type: rsi, period: 21}" in page
    assert browser.post(FORM, {**posted, "step": "save"}).headers["Location"] == "/dashboard/strategies/mine"
    version = SavedStrategy.objects.get().versions.order_by("-number")[0]
    assert (version.number, version.change) == (2, "slower")
    assert version.text == f"# mine\n{TRAINED}".replace("rsi, period: 14", "rsi, period: 21")
    refused = browser.post(FORM, {**posted, "/model/type": "lstm", "step": "save"})
    assert refused.status_code == 422
    assert "saved version 2 since" in refused.content.decode()


@pytest.mark.django_db
def test_errors_stand_beside_their_fields_and_the_check_leads_to_them(browser: Client) -> None:
    posted = inputs(browser.get(f"{FORM}?of=example:rsi_macd_fuzzy"))
    posted |= {"/indicators/rsi_14/period": "1", "/nn_inputs/0/fuzzy_set": "", "/training/epochs": "many"}
    response = browser.post(FORM, {**posted, "step": "save"})
    page = response.content.decode()
    assert response.status_code == 422
    assert "Please fix the errors below" in page
    assert re.search(r'class="error" id="error_/indicators/rsi_14/period">[^<]*at least 2', page)
    assert re.search(r'class="error" id="error_/training/epochs"', page)
    assert inputs(response)["/training/epochs"] == "many"
    check = browser.post("/dashboard/strategies/check", posted).content.decode()
    assert 'href="#id_/indicators/rsi_14/period"' in check
    assert 'href="#group_/nn_inputs/0"' in check


@pytest.mark.django_db
def test_a_text_without_a_form_stays_in_the_editor_with_the_reason(browser: Client) -> None:
    page = browser.post(FORM, {"strategy_yaml": "name: [\n", "saved": ""})
    assert page.status_code == 422
    assert "name: [" in page.content.decode()
    long = browser.post(FORM, {"strategy_yaml": "# x\n" * MAX_CHARACTERS})
    assert "There is no form: the form shows texts of at most 40,000 characters" in long.content.decode()
