"""A kind that only workers announced, with their schemas."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from operations import announced_forms, announced_results
from operations.headline import Headline
from operations.kind import Kind
from operations.presentation.forms import Form
from operations.presentation.shown_results import ShownValue, shown_values


class AnnouncedKind(Kind):
    """A type that is known only from the workers that announced it."""

    is_clonable: ClassVar = True

    def __init__(self, operation_type: str, result_schema: Mapping[str, Any] | None = None) -> None:
        """`result_schema` is read when it is needed, unless it is given."""
        self.operation_type = operation_type
        self.title = operation_type
        self._given_schema = result_schema

    @cached_property
    def result_schema(self) -> Mapping[str, Any]:
        """The JSON schema of the result; empty if no worker announced one."""
        if self._given_schema is not None:
            return self._given_schema
        return announced_results.read_schemas([self.operation_type]).get(self.operation_type, {})

    def shown_values(self, result: Mapping[str, Any]) -> list[ShownValue]:
        return shown_values(result, self.result_schema)

    def default_parameters(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return announced_forms.defaults(self.operation_type, parameters)

    def load_form(self) -> Form | None:
        return self._announced_form

    @cached_property
    def _announced_form(self) -> Form | None:
        return announced_forms.announced_form(self.operation_type)

    def headline(self, result: Mapping[str, Any]) -> Headline | None:
        return announced_results.headline(result, self.result_schema)

    def form_suggestions(self) -> dict[str, list[tuple[str, str]]]:
        form = self.load_form()
        return {} if form is None else announced_forms.suggestions(form)
