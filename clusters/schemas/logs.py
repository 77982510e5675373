"""Which lines of a log are asked for."""

from ninja import Schema
from pydantic import Field


class LogFilter(Schema):
    tail: int = Field(200, ge=1, le=5000, description="The newest lines, of all tasks together.")
    since: int = Field(
        0, ge=0, le=366 * 86400, description="Only lines of the last so many seconds; 0 for all."
    )
    task: str = Field("", max_length=64, description="One task, by its id.")
