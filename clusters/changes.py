"""What can be asked of a service, validated: the API's bodies and the forms end up as these.

Unknown fields are refused. In `env`, `labels` and `container_labels` a null removes the name.
"""

import base64
import binascii
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StrictInt,
    model_validator,
)

from clusters import units

MOST_REPLICAS = 10_000
STACK_LABEL = "com.docker.stack.namespace"

# The grammar of github.com/distribution/reference: [domain/]path[:tag][@digest].
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = rf"(?:{_NAME}(?:\.{_NAME})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_REFERENCE = re.compile(
    rf"(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*(?::[\w][\w.-]{{0,127}})?(?:@[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]{{32,}})?",
    re.ASCII,
)
# The keys that Docker documents, and the values that swarmkit's manager/constraint takes.
_CONSTRAINT = re.compile(
    r"(node\.(?:id|hostname|role|platform\.os|platform\.arch)|(?:node|engine)\.labels\.[\w.\-/]+)"
    r" *(==|!=) *([\w:.*()?+\[\]\\^$|/-][\w :.*()?+\[\]\\^$|/-]*)",
    re.ASCII,
)


def _image(text: str) -> str:
    text = text.strip()
    if len(text) > 512 or not _REFERENCE.fullmatch(text):
        raise ValueError(
            f"“{text[:80]}” is not an image reference: write it as name:tag or host/name:tag"
        )
    return text


def _constraint(text: str) -> str:
    found = _CONSTRAINT.fullmatch(text.strip())
    if not found:
        raise ValueError(
            f"“{text[:80]}” is not a constraint: write it as node.labels.zone == a"
            " or node.role != manager"
        )
    return f"{found[1]} {found[2]} {found[3].strip()}" if " " in text.strip() else text.strip()


def _env_name(name: str) -> str:
    if not name or "=" in name or "\0" in name:
        raise ValueError(f"“{name[:80]}” is not a variable's name")
    return name


def _label_name(name: str) -> str:
    if not name or "\0" in name or name.startswith("io.pilothouse."):
        raise ValueError(f"“{name[:80]}” cannot be used as a label's name")
    return name


def _service_label(name: str) -> str:
    if _label_name(name) == STACK_LABEL:
        raise ValueError(
            f"the panel does not change {STACK_LABEL}: which stack a service belongs to decides who"
            " may change it"
        )
    return name


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")  # pydantic would take them for 1 and 0
    return value


def _text(value: str | None) -> str | None:
    if value is not None and "\0" in value:
        raise ValueError("a value cannot hold a NUL character")
    return value


Image = Annotated[str, AfterValidator(_image)]
Constraint = Annotated[str, AfterValidator(_constraint)]
Duration = Annotated[int, BeforeValidator(units.nanoseconds), Field(ge=0, le=366 * 86400 * 10**9)]
Memory = Annotated[int, BeforeValidator(units.memory_bytes), Field(ge=0, le=2**60)]
Cpus = Annotated[float, BeforeValidator(_no_boolean), Field(ge=0, le=10_000)]
Count = Annotated[int, BeforeValidator(_no_boolean), Field(ge=0, le=2**31)]
Ratio = Annotated[float, BeforeValidator(_no_boolean), Field(ge=0, le=1)]
Value = Annotated[str | None, AfterValidator(_text)]
Env = dict[Annotated[str, AfterValidator(_env_name)], Value]
Labels = dict[Annotated[str, AfterValidator(_label_name)], Value]
ServiceLabels = dict[Annotated[str, AfterValidator(_service_label)], Value]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Change(_Strict):
    """`version`: the service's version that the requester saw; a stale one is a conflict."""

    version: StrictInt | None = None

    def asked(self) -> dict[str, Any]:
        """The change alone, as JSON, without what was left out."""
        return self.model_dump(mode="json", exclude_unset=True, exclude={"version"})


class Scale(_Change):
    """While a rollout is under way or paused, a scale cuts it short or sets it going again, and an
    automatic rollback would return to the wrong spec: that has to be insisted on.
    """

    replicas: StrictInt = Field(ge=0, le=MOST_REPLICAS)
    insist: bool = False


class RolloutConfig(_Strict):
    """Swarm's update_config or rollback_config; a field that is left out stays as it is."""

    parallelism: StrictInt = Field(default=1, ge=0, le=MOST_REPLICAS)
    delay: Duration = 0
    failure_action: Literal["pause", "continue", "rollback"] = "pause"
    monitor: Duration = 5 * 10**9
    max_failure_ratio: Ratio = 0
    order: Literal["stop-first", "start-first"] = "stop-first"


class RollbackConfig(RolloutConfig):
    failure_action: Literal["pause", "continue"] = "pause"


class Limits(_Strict):
    """A null takes the limit away; what is left out stays."""

    cpus: Cpus | None = None
    memory: Memory | None = None
    pids: Count | None = None


class Reservations(_Strict):
    cpus: Cpus | None = None
    memory: Memory | None = None


class Resources(_Strict):
    limits: Limits = Limits()
    reservations: Reservations = Reservations()


class Update(_Change):
    image: Image | None = None
    env: Env = Field(default_factory=dict, max_length=1000)
    resources: Resources = Resources()
    constraints: list[Constraint] | None = Field(default=None, max_length=100)  # the whole list
    labels: ServiceLabels = Field(default_factory=dict, max_length=1000)  # of the service
    container_labels: Labels = Field(default_factory=dict, max_length=1000)
    update_config: RolloutConfig | None = None
    rollback_config: RollbackConfig | None = None

    @model_validator(mode="after")
    def asks_for_something(self) -> "Update":
        if not self.model_fields_set - {"version"}:
            raise ValueError("the update asks for no change: give at least one field")
        return self


class Rollback(_Change):
    """To a kept revision; without a number, to the one before the present one."""

    revision: StrictInt | None = Field(default=None, ge=1)
    keep_replicas: bool = True  # scaling is not part of what went wrong, unless one says so


class Restart(_Change):
    """Replace every task by a fresh one of the same spec, by the service's own update_config."""


class Resume(_Change):
    """Let a rollout go on that was stopped half way."""


ServiceChange = Scale | Update | Rollback | Restart | Resume


# --- Secrets and configs -------------------------------------------------------------------------

NAME_RULE = (
    "A name has at most 64 letters, digits, “-”, “_” and “.”, and begins and ends with a letter or"
    " a digit."
)
_OBJECT_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9_.-]{0,62}[a-zA-Z0-9])?", re.ASCII)


def is_name(name: str) -> bool:
    """Whether the managers take it as the name of a secret or config."""
    return _OBJECT_NAME.fullmatch(name) is not None


def _object_label(name: str) -> str:
    if _label_name(name) == STACK_LABEL:
        raise ValueError("name the stack as `stack`, not by its label")
    return name


class NewObject(_Strict):
    """A secret or config to be; its value comes beside it, never in it."""

    name: str = Field(min_length=1, max_length=64)
    stack: str = Field("", max_length=64, description="The stack that it belongs to, if any.")
    labels: dict[
        Annotated[str, AfterValidator(_object_label)], Annotated[str, AfterValidator(_text)]
    ] = Field(default_factory=dict, max_length=1000)


class Content(_Strict):
    """A value as text or, for any bytes, in Base64. No error message repeats it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    value: SecretStr | None = None
    value_base64: SecretStr | None = None

    @model_validator(mode="after")
    def is_one(self) -> "Content":
        if (self.value is None) == (self.value_base64 is None):
            raise ValueError("give either value or value_base64")
        self.data()
        return self

    def data(self) -> bytes:
        """The bytes. Raises ValueError for what is no Base64."""
        if self.value is not None:
            return self.value.get_secret_value().encode()
        try:
            text = self.value_base64.get_secret_value() if self.value_base64 else ""
            return base64.b64decode(text, validate=True)
        except binascii.Error:
            raise ValueError("value_base64 is no Base64") from None
