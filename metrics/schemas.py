"""The shapes of the API about metrics."""

from datetime import datetime

from ninja import Field, Schema
from pydantic import ConfigDict


class SeriesShape(Schema):
    label: str
    values: list[float | None] = Field(description="One for each of `times`; null is a gap.")


class LineShape(Schema):
    label: str
    value: float


class ChartShape(Schema):
    name: str
    title: str
    unit: str = Field(description="percent (of a core), bytes, seconds, per-second or count.")
    needs: str = Field(description="The series that were looked for, as PromQL.")
    error: str
    warnings: list[str]
    lines: list[LineShape] = Field(description="What to compare with: limits, reservations.")
    series: list[SeriesShape]


class MarkShape(Schema):
    kind: str = Field(description="operation or alert.")
    at: float = Field(description="Seconds since 1970.")
    until: float | None
    label: str
    state: str
    tone: str
    icon: str
    url: str


class ServiceMetrics(Schema):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "state": "ok",
                    "reason": "",
                    "since": None,
                    "step": 15,
                    "start": 1767225600,
                    "times": [1767225600, 1767225615],
                    "charts": [
                        {
                            "name": "cpu",
                            "title": "CPU per task",
                            "unit": "percent",
                            "needs": 'container_cpu_usage_seconds_total{service="web"}',
                            "error": "",
                            "warnings": [],
                            "lines": [{"label": "Limit", "value": 50}],
                            "series": [{"label": "Average", "values": [12.5, None]}],
                        }
                    ],
                    "marks": [],
                }
            ]
        }
    )

    state: str = Field(description="ok.")
    reason: str
    since: datetime | None
    step: int = Field(description="Seconds between two of `times`.")
    start: int
    times: list[int] = Field(description="Seconds since 1970.")
    charts: list[ChartShape]
    marks: list[MarkShape] = Field(description="What happened to the service meanwhile.")


class MappingShape(Schema):
    container_label: str
    container_with_stack: bool
    service_label: str
    service_with_stack: bool
    cpu: str
    memory: str
    started: str
    requests: str
    code_label: str
    durations: str
    queue: str
    queue_label: str
    queue_services: str


class SourceShape(Schema):
    address: str
    username: str
    has_token: bool
    has_password: bool
    ca: str
    from_environment: bool
    state: str = Field(description="unknown (not asked yet), ok or away.")
    unavailable_since: datetime | None
    reason: str
    detected_at: datetime | None
    scrape_interval: int = Field(description="Seconds; 0 while it is not known.")
    mapping: MappingShape = Field(description="The names in use.")
    chosen: list[str] = Field(description="Those of them that were set by hand.")


class PanelShape(Schema):
    id: int
    stack: str = Field(description="Whose panel it is; empty: the cluster's.")
    title: str
    query: str = Field(description="PromQL.")
    unit: str = Field(description="none, percent, bytes, seconds or per-second.")
    warning: float | None = Field(description="A line to compare with, in the unit.")
    critical: float | None
    position: int = Field(description="Panels are shown in its order, within their stack.")
    given: str = Field(description="Which of the panels from the start it is; empty: none of them.")
    changed_at: datetime
