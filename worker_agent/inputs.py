"""Marks for parameters of a worker that name an input file: `Annotated[str, Bars("1d")]`.

The backend finds the file when the operation is submitted, and the agent downloads it: `job.inputs` has its path
under the name of the parameter.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from worker_agent.schema_keywords import INPUT_MARK


@dataclass(frozen=True, slots=True)
class Bars:
    """The parameter is a symbol; the input is its market data of this timeframe, a Parquet file."""

    timeframe: str

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(core_schema), INPUT_MARK: {"timeframe": self.timeframe}}


@dataclass(frozen=True, slots=True)
class ArtifactOf:
    """The parameter is the id of an operation; the input is its artifact of this name."""

    artifact: str

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(core_schema), INPUT_MARK: {"artifact": self.artifact}}


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """The parameter is the id of an upload; the input is its file. `endings` of its name, such as ".csv .parquet"."""

    endings: str = ""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(core_schema), INPUT_MARK: {"upload": self.endings}}
