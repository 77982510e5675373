"""Hands out addresses: to services that publish ports or join networks, and to their tasks.

It works a moment after the write that called for it, so a service gains a version by itself.
"""

from collections import defaultdict

from simulator.clock import Clock, now, rfc3339
from simulator.objects import Network, Service, Spec, Task, TaskState, TaskStatus
from simulator.store import Change, Store

ALLOCATION_SECONDS = 0.002


class Allocator:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._addresses: dict[str, int] = defaultdict(lambda: 1)
        store.subscribe(self.handle)

    def handle(self, change: Change) -> None:
        record = change.record
        if change.action == "remove":
            return
        if isinstance(record, Task) and change.action == "create":
            self._allocate_task(record)
        elif isinstance(record, Service) and self._lacks_addresses(record):
            self._clock.call_later(ALLOCATION_SECONDS, lambda: self._allocate_service(record))
        elif isinstance(record, Network) and change.action == "create":
            self._clock.call_later(ALLOCATION_SECONDS, lambda: self._settle(record))

    def _settle(self, network: Network) -> None:
        if network.id in self._store.networks.by_id:
            self._store.update(network)

    def _allocate_task(self, task: Task) -> None:
        status = TaskStatus(TaskState.PENDING, "pending task scheduling", now())
        self._store.update(task, status=status, networks=self.attachments(task.spec))

    def _allocate_service(self, service: Service) -> None:
        if self._lacks_addresses(service) and service.id in self._store.services.by_id:
            self._store.update(service, virtual_ips=self.virtual_ips(service))

    def _lacks_addresses(self, service: Service) -> bool:
        present = [entry["NetworkID"] for entry in service.virtual_ips]
        return present != [network.id for network in self._wanted(service)]

    def virtual_ips(self, service: Service) -> list[Spec]:
        """One address for the service in each of its networks; those it has are kept."""
        present = {entry["NetworkID"]: entry for entry in service.virtual_ips}
        return [
            present.get(network.id) or {"NetworkID": network.id, "Addr": self._address(network)}
            for network in self._wanted(service)
        ]

    def _wanted(self, service: Service) -> list[Network]:
        endpoint = service.spec.get("EndpointSpec") or {}
        if endpoint.get("Mode") == "dnsrr":
            return []
        networks = _joined(self._store, service.spec["TaskTemplate"])
        ports = endpoint.get("Ports") or []
        if any(port.get("PublishMode") != "host" for port in ports):
            ingress = [net for net in self._store.networks if net.spec.get("Ingress")]
            return ingress + networks
        return networks

    def attachments(self, template: Spec) -> list[Spec]:
        """A task's addresses, each with what the API tells of its network."""
        return [
            {"Network": _network(network), "Addresses": [self._address(network)]}
            for network in _joined(self._store, template)
        ]

    def _address(self, network: Network) -> str:
        self._addresses[network.id] += 1
        high, low = divmod(self._addresses[network.id], 250)
        return f"10.{high}.{network.subnet}.{low + 1}/24"


def _joined(store: Store, template: Spec) -> list[Network]:
    targets = [entry.get("Target") for entry in template.get("Networks") or []]
    found = [store.networks.get(str(target)) for target in targets]
    return [network for network in found if network is not None]


def _network(network: Network) -> Spec:
    return {
        "ID": network.id,
        "Version": {"Index": network.version},
        "CreatedAt": rfc3339(network.created),
        "UpdatedAt": rfc3339(network.updated),
        "Spec": {
            "Name": network.name,
            "Labels": network.spec.get("Labels") or {},
            "DriverConfiguration": {"Name": "overlay"},
            "Scope": "swarm",
        },
        "DriverState": {"Name": "overlay"},
    }
