"""The form view of a strategy: its groups with the errors of the check beside the fields."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.http import HttpRequest

from dashboard.internal_api import InputProblem, call_api
from dashboard.pages.strategy_check import check_of_response
from strategies.form.named_parts import condition_names, names_of
from strategies.form.parts import Entry, Group, name_of_pointer
from strategies.form.reading import build_form
from workers.strategy.document import read_document
from workers.strategy.expressions.functions import functions_as_data

AT = "/strategy_yaml"


def describe_form(request: HttpRequest, text: str) -> dict[str, Any]:
    """Return what the page shows. Raises `StrategyError` and `EditError` like `build_form`."""
    groups, check = _build_checked_form(request, text)
    return {
        "groups": groups,
        "check": check,
        "condition_names": condition_names(names_of(read_document(text).data)),
        "functions": functions_as_data(),
        "is_rules": any(group.path == ("constants",) for group in groups),
    }


def check_of_form(request: HttpRequest, text: str) -> dict[str, Any]:
    """Return the check of a text whose errors lead to the fields of its form. Raises like `describe_form`."""
    return _build_checked_form(request, text)[1]


def _build_checked_form(request: HttpRequest, text: str) -> tuple[list[Group], dict[str, Any]]:
    groups = build_form(text)
    response = call_api(request, "POST", "/strategies/validate", {"strategy_yaml": text})
    return groups, check_of_response(response, _place_errors(groups, response.problems))


def _place_errors(groups: Sequence[Group], problems: Sequence[InputProblem]) -> list[str]:
    """Put each problem at its field or section, and return their ids in the order of the problems."""
    everything = [group for section in groups for group in section.walk()]
    entries = {entry.field.name: entry for group in everything for entry in group.entries}
    sections = {group.name: group for group in everything}
    return [_place(problem, entries, sections) for problem in problems]


def _place(problem: InputProblem, entries: Mapping[str, Entry], sections: Mapping[str, Group]) -> str:
    """Return the id of the field, or of the closest section around the value; the section "" is the whole file."""
    name = name_of_pointer(problem.pointer.removeprefix(AT))
    while name not in entries and name not in sections:
        name = name.rpartition("/")[0]
    if name in entries:
        entry = entries[name]
        entry.field = replace(entry.field, errors=(*entry.field.errors, problem.text))
        return f"id_{name}"
    sections[name].errors.append(problem.text)
    return f"group_{name}"
