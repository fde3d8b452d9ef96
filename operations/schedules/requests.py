"""Request models of schedules, validated at the edge and trusted afterwards."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from operations.schedules.times import Cron, TimeZone
from worker_agent.values import Text

Name = Annotated[Text, Field(min_length=1, max_length=100)]
CatchUp = Literal["once", "skip"]
Overlap = Literal["skip", "queue"]


class ScheduleRequest(BaseModel):
    """A submission that is repeated at the times of a cron expression."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: Name
    cron: Cron = Field(description="minute, hour, day of month, month, day of week: `30 6 * * mon-fri`")
    time_zone: TimeZone = Field(default="UTC", description="IANA name, such as Europe/Berlin")
    catch_up: CatchUp = Field(
        default="once",
        description="if due times passed while the backend was down: submit once, or skip them",
    )
    overlap: Overlap = Field(
        default="skip",
        description="if the last operation has not ended: skip the due time, or submit when it has ended",
    )
    operation: dict[str, Any] = Field(
        description="an item of `POST /operations/batch`: the body of `POST /operations`, or `operation_type` with the "
        "fields of its own request"
    )


class ScheduleChange(BaseModel):
    """New name, times and rules; those that are not given stay as they are. The submission cannot be changed."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: Name | None = None
    cron: Cron | None = None
    time_zone: TimeZone | None = None
    catch_up: CatchUp | None = None
    overlap: Overlap | None = None


class PauseRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    reason: Annotated[Text, Field(max_length=200)] = ""
