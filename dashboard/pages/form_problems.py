"""The problems that the API reports for a form, at their fields."""

from collections.abc import Mapping, Sequence

from dashboard.internal_api import InputProblem
from operations.presentation.forms import Field, Form, fill_fields


def locate(form: Form, problem: InputProblem) -> tuple[str, str]:
    """Return the field's name and the text, which names the place within the value of the field."""
    name, place = form.locate(problem.pointer)
    return name, f"{place}: {problem.message}" if place else problem.message


def fields_of(form: Form, values: Mapping[str, str], problems: Sequence[InputProblem]) -> list[Field]:
    """Return the main fields with the text entered and its problems."""
    errors: dict[str, list[str]] = {}
    for problem in problems:
        name, text = locate(form, problem)
        errors.setdefault(name, []).append(text)
    return fill_fields(form.main, values, errors, {})


def problems_without_field(form: Form, problems: Sequence[InputProblem]) -> list[InputProblem]:
    names = {field.name for field in form.fields}
    return [problem for problem in problems if locate(form, problem)[0] not in names]
