"""Objects as the API shows them. A rendering is kept until its object is written again."""

import json
from collections.abc import Iterable
from typing import Any, TypeVar

from simulator.clock import rfc3339
from simulator.objects import Config, Network, Node, Record, Secret, Service, Spec, Task

Body = dict[str, Any]
R = TypeVar("R", bound=Record)
PLUGINS = [
    *({"Type": "Log", "Name": name} for name in ("json-file", "local", "syslog")),
    *({"Type": "Network", "Name": name} for name in ("bridge", "host", "null", "overlay")),
    {"Type": "Volume", "Name": "local"},
]
TRUST_ROOT = "-----BEGIN CERTIFICATE-----\nc2ltdWxhdGVk\n-----END CERTIFICATE-----\n"
TLS_INFO = {
    "TrustRoot": TRUST_ROOT,
    "CertIssuerSubject": "MBMxETAPBgNVBAMTCHN3YXJtLWNh",
    "CertIssuerPublicKey": "c2ltdWxhdGVk",
}


def dumps(body: object) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def render(record: Record) -> bytes:
    if record.rendered is None:
        record.rendered = dumps(body(record))
    return record.rendered


def render_list(records: Iterable[Record]) -> bytes:
    """In the order of their ids, as managers list them, which is no order at all."""
    return b"[" + b",".join(render(record) for record in in_order(records)) + b"]"


def in_order(records: Iterable[R]) -> list[R]:
    return sorted(records, key=lambda record: record.id)


def body(record: Record) -> Body:
    match record:
        case Service():
            return service(record)
        case Task():
            return task(record)
        case Node():
            return node(record)
        case Network():
            return network(record)
        case Secret() | Config():
            return _head(record) | {"Spec": _without_data(record)}
    raise TypeError(f"not an object of the API: {record!r}")


def _head(record: Record) -> Body:
    return {
        "ID": record.id,
        "Version": {"Index": record.version},
        "CreatedAt": rfc3339(record.created),
        "UpdatedAt": rfc3339(record.updated),
    }


def service(record: Service) -> Body:
    shown = _head(record) | {"Spec": record.spec}
    if record.previous_spec is not None:
        shown["PreviousSpec"] = record.previous_spec
    shown["Endpoint"] = _endpoint(record)
    status = record.update_status
    if status is not None:
        shown["UpdateStatus"] = {"State": status.state, "StartedAt": rfc3339(status.started)}
        if status.completed is not None:
            shown["UpdateStatus"]["CompletedAt"] = rfc3339(status.completed)
        shown["UpdateStatus"]["Message"] = status.message
    if record.job_iteration is not None:
        shown["JobStatus"] = {
            "JobIteration": _iteration(record.job_iteration),
            "LastExecution": rfc3339(record.last_execution),
        }
    return shown


def _iteration(number: int) -> Body:
    return {"Index": number} if number else {}


def _endpoint(record: Service) -> Body:
    shown: Body = {"Spec": record.spec.get("EndpointSpec") or {}}
    if record.endpoint_ports:
        shown["Ports"] = record.endpoint_ports
    if record.virtual_ips:
        shown["VirtualIPs"] = record.virtual_ips
    return shown


def task(record: Task) -> Body:
    shown = _head(record) | {"Labels": {}, "Spec": _task_spec(record.spec)}
    if record.service_id:
        shown["ServiceID"] = record.service_id
    if record.slot:
        shown["Slot"] = record.slot
    if record.node_id:
        shown["NodeID"] = record.node_id
    shown["Status"] = _task_status(record)
    shown["DesiredState"] = record.desired.api_name
    if record.networks:
        shown["NetworksAttachments"] = record.networks
    if record.job_iteration is not None:
        shown["JobIteration"] = _iteration(record.job_iteration)
    return shown


def _task_spec(template: Spec) -> Spec:
    return {name: value for name, value in template.items() if name != "Runtime"}


def _task_status(record: Task) -> Body:
    status = record.status
    shown: Body = {
        "Timestamp": rfc3339(status.timestamp),
        "State": status.state.api_name,
        "Message": status.message,
    }
    if status.error:
        shown["Err"] = status.error
    if status.container_id is not None:
        shown["ContainerStatus"] = {
            "ContainerID": status.container_id,
            "PID": status.pid,
            "ExitCode": status.exit_code,
        }
    shown["PortStatus"] = {}
    return shown


def node(record: Node) -> Body:
    status = {"State": record.state, "Message": record.message, "Addr": record.address}
    shown = _head(record) | {
        "Spec": record.spec,
        "Description": {
            "Hostname": record.hostname,
            "Platform": {"Architecture": "x86_64", "OS": "linux"},
            "Resources": {
                "NanoCPUs": record.nano_cpus,
                "MemoryBytes": record.memory_bytes,
            },
            "Engine": {
                "EngineVersion": "20.10.24+simulated",
                "Labels": record.engine_labels,
                "Plugins": PLUGINS,
            },
            "TLSInfo": TLS_INFO,
        },
        "Status": {name: value for name, value in status.items() if value},
    }
    if record.role == "manager":
        manager = {"Leader": True} if record.leader else {}
        address = f"{record.address}:2377"
        shown["ManagerStatus"] = manager | {"Reachability": record.reachability, "Addr": address}
    return shown


def network(record: Network) -> Body:
    spec = record.spec
    subnet = f"10.0.{record.subnet}"
    default = {"Driver": "default", "Options": None}
    config = [{"Subnet": f"{subnet}.0/24", "Gateway": f"{subnet}.1"}]
    return {
        "Name": record.name,
        "Id": record.id,
        "Created": rfc3339(record.created),
        "Scope": "swarm",
        "Driver": spec.get("Driver") or "overlay",
        "EnableIPv6": bool(spec.get("EnableIPv6")),
        "IPAM": default | {"Config": (spec.get("IPAM") or {}).get("Config") or config},
        "Internal": bool(spec.get("Internal")),
        "Attachable": bool(spec.get("Attachable")),
        "Ingress": bool(spec.get("Ingress")),
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": None,
        "Options": {
            "com.docker.network.driver.overlay.vxlanid_list": str(record.vxlan),
            **(spec.get("Options") or {}),
        },
        "Labels": spec.get("Labels") or None,
    }


def _without_data(record: Secret | Config) -> Spec:
    """A secret's value can never be read back; a config's can."""
    hidden = ("Data",) if isinstance(record, Secret) else ()
    return {name: value for name, value in record.spec.items() if name not in hidden}
