"""The Engine port on docker-py's APIClient, used as a transport: raw objects in and out.

docker-py's own service methods rebuild specs and lose fields, so none of them is used.
"""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from http.client import RemoteDisconnected
from typing import Any, TypeVar

import docker
import requests
from docker.errors import APIError, DockerException

from clusters.adapters import checked, tls
from clusters.adapters.measured import measured
from clusters.adapters.ssh import SSHTunnel
from clusters.ports import (
    AddressReport,
    Connection,
    EngineError,
    EngineFacts,
    EngineUnreachable,
    EngineUnsupported,
    NoLeader,
    NotInSwarmMode,
    Noun,
    ObjectMissing,
    Raw,
    Refused,
    StaleVersion,
)

SIMULATED_LABEL = "io.pilothouse.simulated=true"
CLOSED = ". Does it ask for TLS, or for another client certificate?"
# What managers answer while they have no leader, choose one, or cannot reach the one they had.
WITHOUT_LEADER = (
    "does not have a leader", "lost quorum", "DeadlineExceeded", "context deadline exceeded",
    "code = Unavailable", "code = Aborted", "code = Canceled", "leader status",
)  # fmt: skip
OLDEST_API = (1, 40)  # Engine 19.03: the first with jobs' neighbours and ServiceStatus filters
JUST_NOW = 0.5  # seconds
Answer = TypeVar("Answer")


class DockerEngine:
    """See `ports.Engine`. Safe to use from several threads, not across a fork."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._order = list(connection.addresses)
        self._clients: dict[str, docker.APIClient] = {}
        self._tunnels = {
            address: SSHTunnel(address, connection.timeout, connection.refused)
            for address in connection.addresses
            if address.startswith("ssh://")
        }
        self._errors: dict[str, str] = {}
        self._answered: dict[str, float] = {}  # when each answered last, on the monotonic clock
        self._files = tls.TLSFiles(connection.tls) if connection.tls else None
        self._lock = threading.Lock()

    # --- Reading ---------------------------------------------------------------------------------

    def facts(self) -> EngineFacts:
        return self._any_address(self._read_facts)

    def check_addresses(self) -> None:
        for address in self._connection.addresses:
            with suppress(EngineError):  # noted as the address's report
                self._told(address, partial(self._ask, _have_leader, address))

    def reports(self) -> list[AddressReport]:
        return [AddressReport(a, self._errors.get(a, "")) for a in self._connection.addresses]

    def services(self, ids: Iterable[str] = ()) -> list[Raw]:
        return self._list("/services", {"id": list(ids)}, status="true")

    def service(self, service_id: str) -> Raw:
        return self._get(f"/services/{service_id}")

    def tasks(
        self,
        *,
        services: Iterable[str] = (),
        nodes: Iterable[str] = (),
        desired: Iterable[str] = (),
    ) -> list[Raw]:
        filters = {"service": list(services), "node": list(nodes), "desired-state": list(desired)}
        return self._list("/tasks", filters)

    def nodes(self) -> list[Raw]:
        return self._list("/nodes", {})

    def networks(self) -> list[Raw]:
        return self._list("/networks", {"scope": ["swarm"]})

    def secrets(self) -> list[Raw]:
        return self._list("/secrets", {})

    def configs(self) -> list[Raw]:
        return self._list("/configs", {})

    def named(self, noun: Noun, name: str) -> Raw:
        # The filter finds by prefix, and the path takes an id's prefix for a name.
        found = self._list(f"/{noun}s", {"name": [name]})
        for raw in found:
            if raw["Spec"]["Name"] == name:
                return raw
        raise ObjectMissing(f"There is no {noun} named {name}.")

    def _list(self, path: str, filters: dict[str, list[str]], **params: str) -> list[Raw]:
        kept = {name: values for name, values in filters.items() if values}
        if kept:
            params["filters"] = json.dumps(kept)
        return self._get(path, **params) or []

    def _get(self, path: str, **params: str) -> Any:
        return self._any_address(lambda address, client: _request(client, "GET", path, params))

    # --- Writing: at the one address that just answered, and never twice --------------------------

    def update_service(self, service_id: str, version: int, spec: Mapping[str, Any]) -> list[str]:
        address, client = self._first_good()
        path = f"/services/{service_id}/update"
        answer = self._told(
            address, lambda: _request(client, "POST", path, {"version": str(version)}, spec)
        )
        return list((answer or {}).get("Warnings") or [])

    def create(self, noun: Noun, spec: Mapping[str, Any]) -> str:
        address, client = self._first_good()
        answer = self._told(address, lambda: _request(client, "POST", f"/{noun}s/create", {}, spec))
        return str(answer["ID"])

    def remove(self, noun: Noun, object_id: str) -> None:
        address, client = self._first_good()
        self._told(address, lambda: _request(client, "DELETE", f"/{noun}s/{object_id}", {}))

    def init_swarm(self, advertise: str) -> str:
        address, client = self._first_good()
        body = {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": advertise}
        return str(self._told(address, lambda: _request(client, "POST", "/swarm/init", {}, body)))

    def _first_good(self) -> tuple[str, docker.APIClient]:
        """An address that answers now: a write must not be tried at one after another.

        One that answered this moment need not be asked again.
        """
        address = self._order[0]
        if time.monotonic() - self._answered.get(address, -JUST_NOW) < JUST_NOW:
            return address, self._client(address)
        return self._any_address(_ping)

    # --- Addresses -------------------------------------------------------------------------------

    def _any_address(self, call: Callable[[str, docker.APIClient], Answer]) -> Answer:
        """The first address that answers; it is asked first next time. Refusals are answers."""
        last: EngineError | None = None
        for address in list(self._order):
            try:
                answer = self._told(address, partial(self._ask, call, address))
            except (EngineUnreachable, NoLeader, NotInSwarmMode) as error:
                last = error
                continue
            self._prefer(address)
            return answer
        raise last or EngineUnreachable("The cluster has no address.")

    def _ask(self, call: Callable[[str, docker.APIClient], Answer], address: str) -> Answer:
        return call(address, self._client(address))

    def _told(self, address: str, call: Callable[[], Answer]) -> Answer:
        """Make the call, note how the address answered, and speak our own errors."""
        try:
            answer = call()
        except (DockerException, requests.RequestException, OSError) as error:
            told = _translated(address, error, self._connection.timeout)
        except EngineError as error:
            told = error
        else:
            self._errors.pop(address, None)
            self._answered[address] = time.monotonic()
            return answer
        if isinstance(told, (EngineUnreachable, NoLeader)):
            self._errors[address] = str(told)
            self._answered.pop(address, None)
        if isinstance(told, EngineUnreachable):
            self._forget(address)
        raise told

    def _prefer(self, address: str) -> None:
        if self._order[0] != address:
            self._order = [address, *(a for a in self._order if a != address)]

    def _client(self, address: str) -> docker.APIClient:
        with self._lock:
            if address in self._clients:
                return self._clients[address]
        client = self._connect(address)  # unlocked: an address that hangs must not hold up threads
        with self._lock:
            kept = self._clients.setdefault(address, client)
        if kept is not client:
            client.close()
        return kept

    def _connect(self, address: str) -> docker.APIClient:
        base, config = address, None
        if address.startswith("ssh://"):
            base = f"unix://{self._tunnels[address].socket()}"
        elif self._files:
            base, config = address.replace("tcp://", "https://", 1), self._files.for_docker_py()
        client = docker.APIClient(
            base_url=base, version="1.40", timeout=self._connection.timeout, tls=config or False
        )
        if address.startswith("tcp://"):
            checked.mount(client, self._connection.refused)
        client.trust_env = False  # REQUESTS_CA_BUNDLE would otherwise replace the cluster's own CA
        _negotiate(client, address)
        return client

    def _forget(self, address: str) -> None:
        with self._lock:
            client = self._clients.pop(address, None)
        if client:
            client.close()

    def close(self) -> None:
        for address in list(self._clients):
            self._forget(address)
        for tunnel in self._tunnels.values():
            tunnel.close()
        if self._files:
            self._files.close()

    def _read_facts(self, address: str, client: docker.APIClient) -> EngineFacts:
        info = _request(client, "GET", "/info", {})
        swarm = info.get("Swarm") or {}
        return EngineFacts(
            address=address,
            name=info.get("Name", ""),
            version=info.get("ServerVersion", ""),
            api_version=client.api_version,
            swarm_state=swarm.get("LocalNodeState", "inactive"),
            is_manager=bool(swarm.get("ControlAvailable")),
            swarm_id=(swarm.get("Cluster") or {}).get("ID", ""),
            node_id=swarm.get("NodeID", ""),
            simulated=SIMULATED_LABEL in (info.get("Labels") or []),
        )


def _ping(address: str, client: docker.APIClient) -> tuple[str, docker.APIClient]:
    _request(client, "GET", "/_ping", {})
    return address, client


def _have_leader(address: str, client: docker.APIClient) -> None:
    """A manager that is cut off from the others answers a ping all the same."""
    _request(client, "GET", "/nodes", {"filters": '{"id": ["none"]}'})


def _negotiate(client: docker.APIClient, address: str) -> None:
    """Speak the newest API version that both know; a low one would null security fields.

    Newer engines than docker-py knows are spoken to in their own version: raw objects need no
    library that knows them.
    """
    url = f"{client.base_url}/version"
    answer = client.get(url, timeout=client.timeout, allow_redirects=False)
    checked.refuse_redirect(address, answer.status_code)
    try:
        if "message" not in answer.json():
            answer.raise_for_status()
    except (ValueError, TypeError, requests.HTTPError) as error:
        # What it says instead is none of the asker's business: it may be any server.
        raise EngineUnreachable(f"{address} answers, but is no Docker Engine.") from error
    client._raise_for_status(answer)
    try:
        theirs = answer.json()
        version = theirs["ApiVersion"]
        number = _number(version)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise EngineUnreachable(f"{address} answers, but is no Docker Engine.") from error
    if number < OLDEST_API:
        raise EngineUnsupported(
            f"{address} runs Docker Engine {theirs.get('Version', '?')} (API {version}), which is"
            f" too old: Pilothouse needs API {OLDEST_API[0]}.{OLDEST_API[1]} (Engine 19.03)"
            " or newer."
        )
    client._version = version


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _request(
    client: docker.APIClient, method: str, path: str, params: dict[str, str], body: Any = None
) -> Any:
    """One call; JSON in and out. Raises docker-py's and requests' own errors."""
    url = client._url(path, versioned_api=path != "/_ping")
    with measured(method, path):
        answer = client.request(
            method, url, params=params, json=body, timeout=client.timeout, allow_redirects=False
        )
        checked.refuse_redirect(client.base_url, answer.status_code)
        client._raise_for_status(answer)
    return answer.json() if "json" in answer.headers.get("Content-Type", "") else None


def _translated(address: str, error: Exception, timeout: float) -> EngineError:
    """An error of the libraries as one of ours, in words."""
    if isinstance(error, APIError):
        return _refusal(address, error)
    if isinstance(error, requests.Timeout):
        return EngineUnreachable(f"{address} did not answer within {timeout:g} s")
    root = _root(error)
    hint = CLOSED if address.startswith("tcp://") and isinstance(root, RemoteDisconnected) else ""
    return EngineUnreachable(f"{address} cannot be reached: {_reason(root)}{hint}")


def _refusal(address: str, error: APIError) -> EngineError:
    text = str(error.explanation or error)
    status = error.response.status_code if error.response is not None else 500
    # Older engines tell these by their text alone, with status 500.
    if "update out of sequence" in text:
        return StaleVersion("Somebody else changed the object in the meantime.")
    if any(words in text for words in WITHOUT_LEADER):
        return NoLeader(f"{address}: the managers have no leader, so nothing can be changed now.")
    if "not a swarm manager" in text:
        return NotInSwarmMode(f"{address} is not a manager of a Swarm.")
    if status == 404:
        return ObjectMissing(text)
    if "client version" in text and ("too new" in text or "too old" in text):
        return EngineUnsupported(f"{address}: {text}")
    return Refused(text)


def _root(error: BaseException) -> BaseException:
    """The innermost cause: requests wraps an errno three deep."""
    seen = error
    while (inner := seen.__cause__ or seen.__context__) is not None:
        seen = inner
    return seen


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return tls.reason(error)
    return str(getattr(error, "strerror", None) or error)
