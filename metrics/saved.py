"""What it takes to save a panel, validated: the API's body and the form end as this."""

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from metrics.models import MOST_QUERY


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    if not text:
        raise ValueError("must not be empty")
    return text


def _query(text: str) -> str:
    text = text.replace("\r\n", "\n").strip()
    if not text or "\0" in text:
        raise ValueError("must be a query in PromQL")
    return text


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise ValueError("must be a number")
    return value


Title = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_one_line)]
Query = Annotated[str, Field(min_length=1, max_length=MOST_QUERY), AfterValidator(_query)]
Unit = Literal["none", "percent", "bytes", "seconds", "per-second"]
Threshold = Annotated[float | None, AfterValidator(_finite)]


class NewPanel(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"title": "Queue", "query": "sum(celery_queue_length)", "unit": "none"}]
        },
    )

    title: Title
    query: Query = Field(description="PromQL.")
    stack: str = Field("", max_length=64, description="Whose panel it is; empty: the cluster's.")
    unit: Unit = "none"
    warning: Threshold = Field(None, description="A line to compare with, in the unit.")
    critical: Threshold = None


class ChangedPanel(BaseModel):
    """What is left out stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"position": 0}]})

    title: Title | None = None
    query: Query | None = None
    unit: Unit | None = None
    warning: Threshold = Field(None, description="null takes the line away.")
    critical: Threshold = None
    position: int | None = Field(None, ge=0, le=1_000, description="From 0, within its stack's.")

    def given(self) -> dict[str, Any]:
        """The fields to set, without the position."""
        found = self.model_dump(exclude_unset=True, exclude={"position"})
        return {k: v for k, v in found.items() if v is not None or k in ("warning", "critical")}
