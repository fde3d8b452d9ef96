"""The form view of a strategy: its groups with the errors of the check beside the fields."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.http import HttpRequest

from dashboard.internal_api import InputProblem, call_api
from dashboard.pages.strategy_check import check_of_response
from strategies.form.named_parts import condition_names, names_of
from strategies.form.parts import Group, field_name
from strategies.form.reading import build_form
from workers.strategy.document import read_document
from workers.strategy.expressions.functions import functions_as_data

AT = "/strategy_yaml"


def describe_form(request: HttpRequest, text: str) -> dict[str, Any]:
    """Return what the page shows. Raises `StrategyError` and `EditError` like `build_form`."""
    groups = build_form(text)
    response = call_api(request, "POST", "/strategies/validate", {"strategy_yaml": text})
    anchors = _place_errors(groups, response.problems)
    data = read_document(text).data
    return {
        "groups": groups,
        "check": check_of_response(response, anchors),
        "condition_names": condition_names(names_of(data)),
        "functions": functions_as_data(),
        "is_rules": any(group.path == ("constants",) for group in groups),
    }


def check_of_form(request: HttpRequest, text: str) -> dict[str, Any]:
    """Return the check of a text whose errors lead to the fields of its form."""
    check: dict[str, Any] = describe_form(request, text)["check"]
    return check


def _place_errors(groups: Sequence[Group], problems: Sequence[InputProblem]) -> list[str]:
    """Put each problem at its field or section, and return their ids in the order of the problems."""
    everything = [group for section in groups for group in section.walk()]
    fields = {
        entry.field.name: (group, place) for group in everything for place, entry in enumerate(group.entries)
    }
    sections = {group.name: group for group in everything}
    return [_place(problem, fields, sections) for problem in problems]


def _place(
    problem: InputProblem, fields: Mapping[str, tuple[Group, int]], sections: Mapping[str, Group]
) -> str:
    """Return the id of the field, or of the closest section around the value."""
    parts = [
        part.replace("~1", "/").replace("~0", "~") for part in problem.pointer.removeprefix(AT).split("/")[1:]
    ]
    for length in range(len(parts), -1, -1):
        name = field_name(tuple(parts[:length]))
        if name in fields:
            group, place = fields[name]
            entry = group.entries[place]
            entry.field = replace(entry.field, errors=(*entry.field.errors, problem.text))
            return f"id_{name}"
        if name in sections and (length or not parts):
            sections[name].errors.append(problem.text)
            return f"group_{name}"
    sections[""].errors.append(problem.text)
    return "group_"
