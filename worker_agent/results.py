"""How pages and lists show a value of a worker's result: `Annotated[float, Shown("percent")]` in its `Result`."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from worker_agent.schema_keywords import RESULT_MARK

Style = Literal["", "percent", "signed_percent", "basis_points", "integer", "duration", "file_size"]


@dataclass(frozen=True, slots=True)
class Shown:
    """`percent`, `signed_percent` and `basis_points` are for fractions, `duration` for seconds, `file_size` for bytes.

    `unit` is a short text after the value. The first value that `is_summary` stands for the result in lists.
    """

    style: Style = ""
    unit: str = ""
    is_summary: bool = False

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        mark = {"style": self.style, "unit": self.unit, "is_summary": self.is_summary}
        return {**handler(core_schema), RESULT_MARK: mark}
