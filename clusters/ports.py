"""What the product needs of a Docker Engine, and how an engine can fail. No framework here."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Raw = dict[
    str, Any
]  # an object of the Engine's API exactly as it came: never rebuilt, only patched
Noun = Literal["secret", "config"]  # what a service mounts as a file, and never changes once made


class EngineError(Exception):
    """An engine did not do what was asked. `str()` is a sentence for the person who asked."""


class EngineUnreachable(EngineError):
    """No address of the cluster answered: refused, timed out, or cut off."""


class EngineUnsupported(EngineError):
    """The engine is too old or too new for this panel."""


class NotInSwarmMode(EngineError):
    """The engine answers, but is no manager of a Swarm."""


class NoLeader(EngineError):
    """The managers have no quorum: reading may work, writing does not."""


class ObjectMissing(EngineError):
    """The service (node, task, …) is not there, or no longer."""


class StaleVersion(EngineError):
    """Somebody else wrote the object since it was read. Read it again; never retry blindly."""


class Refused(EngineError):
    """The engine understood and said no; the message is the engine's own."""


@dataclass(frozen=True, slots=True)
class TLSMaterial:
    """PEM texts for an engine behind TLS. The private key is a secret."""

    ca: str
    certificate: str
    key: str


# Addresses of a machine's surroundings: link-local, where clouds have their metadata services, the
# metadata services elsewhere, and what is no single machine's.
NOT_ENGINES = (
    "169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "fd20:ce::254/128", "100.100.100.200/32",
    "168.63.129.16/32", "192.0.0.192/32", "0.0.0.0/8", "::/128", "224.0.0.0/4", "ff00::/8",
    "240.0.0.0/4",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach a cluster: its managers' addresses, tried in this order after the last good one.

    An address is `unix:///path`, `tcp://host:port` (TLS when `tls` is given) or `ssh://user@host`.
    """

    addresses: tuple[str, ...]
    tls: TLSMaterial | None = None
    timeout: float = 5.0  # seconds, for connecting and for each read
    refused: tuple[str, ...] = NOT_ENGINES  # networks that are never connected to


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What `/info` and `/version` tell of the engine that answered."""

    address: str
    name: str
    version: str
    api_version: str
    swarm_state: str  # inactive, pending, active, error, locked
    is_manager: bool
    swarm_id: str
    node_id: str
    simulated: bool


@dataclass(frozen=True, slots=True)
class AddressReport:
    """How one manager's address last answered. `error` is empty if it did."""

    address: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a task's log. `at` is the engine's RFC 3339 time with nanoseconds."""

    at: str
    stream: str  # stdout or stderr
    text: str


class Engine(Protocol):
    """One cluster's Engine API: raw objects in and out, every call bounded in time.

    Every method raises EngineUnreachable, EngineUnsupported, NotInSwarmMode or NoLeader as the case
    may be, and what it names besides.
    """

    def facts(self) -> EngineFacts: ...

    def reports(self) -> list[AddressReport]:
        """How each address answered when it was last tried; makes no call."""
        ...

    def check_addresses(self) -> None:
        """Ask every address for a sign of life, so that `reports` is up to date; never raises."""
        ...

    def services(self, ids: Iterable[str] = ()) -> list[Raw]:
        """Services with `ServiceStatus`; all of them when `ids` is empty."""
        ...

    def service(self, service_id: str) -> Raw:
        """Raises ObjectMissing."""
        ...

    def tasks(
        self,
        *,
        services: Iterable[str] = (),
        nodes: Iterable[str] = (),
        desired: Iterable[str] = (),
    ) -> list[Raw]: ...

    def nodes(self) -> list[Raw]: ...

    def networks(self) -> list[Raw]: ...

    def secrets(self) -> list[Raw]:
        """All secrets. No engine ever gives a value back."""
        ...

    def configs(self) -> list[Raw]:
        """All configs with their data."""
        ...

    def named(self, noun: Noun, name: str) -> Raw:
        """The secret or config with exactly this name. Raises ObjectMissing."""
        ...

    def create(self, noun: Noun, spec: Mapping[str, Any]) -> str:
        """Create a secret or config of this spec, its `Data` in Base64; returns its id.

        Raises Refused. Is sent at most once; no error repeats the data.
        """
        ...

    def remove(self, noun: Noun, object_id: str) -> None:
        """Raises ObjectMissing, and Refused while a service uses it."""
        ...

    def update_service(self, service_id: str, version: int, spec: Mapping[str, Any]) -> list[str]:
        """Replace the spec read at `version`; returns the engine's warnings.

        Raises StaleVersion, Refused, ObjectMissing. Is sent at most once.
        """
        ...

    def init_swarm(self, advertise: str) -> str:
        """Make the engine the first manager of a new Swarm; returns the node's id."""
        ...

    def close(self) -> None: ...


class EngineStreams(Protocol):
    """The Engine API's endless answers, each cancelled by closing its iterator."""

    def events(self) -> AsyncIterator[Raw]:
        """The engine's events from now on. Ends when the engine goes away; may lose events."""
        ...

    def task_log(
        self, task_id: str, *, tty: bool, tail: int | None, since: float, follow: bool
    ) -> AsyncIterator[LogLine]:
        """A task's log lines, oldest first; `tty`: whether its spec asks for a terminal.

        Raises EngineError. A task on a dead node answers nothing, ever: bound the wait.
        """
        ...
