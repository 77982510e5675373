"""What it takes to set a cluster's source, validated: the API's body and the form end as this."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from cryptography import x509
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from metrics.mapping import LABEL_FIELDS, METRIC_FIELDS, wrong


def _address(text: str) -> str:
    text = text.strip().rstrip("/")
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError("is no address of a Prometheus: write it as http://host:9090")
    if parts.username or parts.password:
        raise ValueError("must hold no name and no password: give them in their own fields")
    if parts.query or parts.fragment or any(letter.isspace() for letter in text):
        raise ValueError("must end with its path: nothing after “?” or “#”, and no spaces")
    return text


def _certificate(text: str) -> str:
    try:
        if text:
            x509.load_pem_x509_certificates(text.encode())
    except ValueError as error:
        raise ValueError("is not a certificate in PEM form") from error
    return text


def _one_line(text: str) -> str:
    if any(ord(letter) < 32 for letter in text):
        raise ValueError("must be one line")
    return text


Address = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_address)]
Secret = Annotated[str, Field(max_length=4_000), AfterValidator(_one_line)]


class NewSource(BaseModel):
    """A Prometheus, or what speaks its HTTP API: Thanos, Mimir, VictoriaMetrics."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"address": "https://prometheus.example.net"}]},
    )

    address: Address = Field(description="With its path, if it has one, without /api/v1.")
    token: Secret = Field("", description="For “Authorization: Bearer”. Kept sealed, never shown.")
    username: Secret = Field("", max_length=255, description="For basic authentication.")
    password: Secret = Field("", description="Kept sealed, and never shown again.")
    ca: Annotated[str, AfterValidator(_certificate)] = Field(
        "", max_length=100_000, description="PEM of the private CA that signed its certificate."
    )

    @model_validator(mode="after")
    def one_way_in(self) -> "NewSource":
        if self.token and (self.username or self.password):
            raise ValueError("give a token, or a name and a password, not both")
        if self.password and not self.username:
            raise ValueError("a password needs a user name")
        if self.ca and not self.address.startswith("https:"):
            raise ValueError("a CA certificate is for https:// addresses")
        return self


class Chosen(BaseModel):
    """The mapping's fields that are set by hand; the others are as they were detected."""

    model_config = ConfigDict(extra="forbid")

    container_label: str | None = Field(None, max_length=200)
    container_with_stack: bool | None = None
    service_label: str | None = Field(None, max_length=200)
    service_with_stack: bool | None = None
    cpu: str | None = Field(None, max_length=200)
    memory: str | None = Field(None, max_length=200)
    started: str | None = Field(None, max_length=200)
    requests: str | None = Field(None, max_length=200)
    code_label: str | None = Field(None, max_length=200)
    durations: str | None = Field(None, max_length=200)
    queue: str | None = Field(None, max_length=200)
    queue_label: str | None = Field(None, max_length=200)
    queue_services: str | None = Field(None, max_length=1000)

    @model_validator(mode="after")
    def names(self) -> "Chosen":
        for name in (*LABEL_FIELDS, *METRIC_FIELDS):
            if problem := wrong(name, getattr(self, name) or ""):
                raise ValueError(f"{name}: {problem}")
        return self

    def given(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)
