"""The bodies of the routes about studies."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from operations.requests import LARGEST, SMALLEST, StrategyText
from worker_agent.protocol import Identifier
from workers.studies.grammar import MAX_CHARACTERS
from workers.studies.search_section import MAX_TRIALS

# One character more than the limit: the study's own message about it names the remedy.
StudyText = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_CHARACTERS + 1, pattern=r"^[^\x00]*$")
]
DEFAULT_PRIORITY = -10


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class StudyRequest(_Body):
    """A study and its strategy."""

    strategy_yaml: StrategyText
    study_yaml: StudyText
    model: Identifier | None = None
    """The training whose model is searched, for a study of kind decisions."""
    priority: int = Field(default=DEFAULT_PRIORITY, ge=SMALLEST, le=LARGEST)


class ExtendRequest(_Body):
    trials: int = Field(default=0, ge=0, le=MAX_TRIALS)
    hours: float = Field(default=0.0, ge=0.0, le=8760.0)

    @model_validator(mode="after")
    def _extends(self) -> "ExtendRequest":
        if not self.trials and not self.hours:
            raise ValueError("set trials, hours or both")
        return self


class PromoteRequest(_Body):
    number: int | None = Field(default=None, ge=0, lt=2**31)
    """The trial; by default the best one."""
