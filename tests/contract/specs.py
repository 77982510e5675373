"""A spec with every field that the engine knows, and the objects that it refers to."""

from dataclasses import dataclass
from typing import Any

from tests.contract.swarm_api import SECOND, Spec, SwarmApi, unique


@dataclass(frozen=True)
class References:
    secret: Spec
    config: Spec
    network_id: str
    modern: bool = False  # see SwarmApi


# What engines below API 1.44 do not know, and would drop from a spec that has it.
MODERN_PRIVILEGES = {
    "NoNewPrivileges": True,
    "Seccomp": {"Mode": "unconfined"},
    "AppArmor": {"Mode": "disabled"},
}


def create_references(swarm: SwarmApi) -> References:
    secret, config = unique("secret"), unique("config")
    secret_id = swarm.post("/secrets/create", {"Name": secret, "Data": "c2VjcmV0"}).body["ID"]
    config_id = swarm.post("/configs/create", {"Name": config, "Data": "Y29uZmln"}).body["ID"]
    network = {"Name": unique("network"), "Driver": "overlay"}
    file = {"Name": "given", "UID": "0", "GID": "0", "Mode": 292}
    return References(
        {"File": file, "SecretID": secret_id, "SecretName": secret},
        {"File": file, "ConfigID": config_id, "ConfigName": config},
        swarm.post("/networks/create", network).body["Id"],
        swarm.modern,
    )


def remove_references(swarm: SwarmApi, references: References) -> None:
    swarm.remove_services()
    swarm.forget_tasks()
    swarm.delete(f"/secrets/{references.secret['SecretID']}")
    swarm.delete(f"/configs/{references.config['ConfigID']}")
    swarm.delete(f"/networks/{references.network_id}")


def full_spec(references: References, replicas: int) -> Spec:
    return {
        "Name": unique("full"),
        "Labels": {"com.example.kept": "yes", "empty": ""},
        "TaskTemplate": _template(references),
        "Mode": {"Replicated": {"Replicas": replicas}},
        "UpdateConfig": _update("continue", "start-first", 0.25),
        "RollbackConfig": _update("pause", "stop-first", 0.5),
        "EndpointSpec": {
            "Mode": "vip",
            "Ports": [
                {
                    "Name": "web",
                    "Protocol": "tcp",
                    "TargetPort": 80,
                    "PublishedPort": 8085,
                    "PublishMode": "ingress",
                }
            ],
        },
    }


def _update(action: str, order: str, ratio: float) -> Spec:
    return {
        "Parallelism": 3,
        "Delay": 1000,
        "FailureAction": action,
        "Monitor": 2 * SECOND,
        "MaxFailureRatio": ratio,
        "Order": order,
    }


def _template(references: References) -> Spec:
    generic = [
        {"DiscreteResourceSpec": {"Kind": "SSD", "Value": 3}},
        {"NamedResourceSpec": {"Kind": "GPU", "Value": "UUID1"}},
    ]
    return {
        "ContainerSpec": _container(references),
        "Resources": {
            "Limits": {"NanoCPUs": 500_000_000, "MemoryBytes": 64 << 20, "Pids": 100},
            "Reservations": {
                "NanoCPUs": 1_000_000,
                "MemoryBytes": 4 << 20,
                "GenericResources": generic,
            },
        },
        "RestartPolicy": {
            "Condition": "on-failure",
            "Delay": SECOND,
            "MaxAttempts": 7,
            "Window": 60 * SECOND,
        },
        "Placement": {
            "Constraints": ["node.role==manager"],
            "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.zone"}}],
            "MaxReplicas": 5,
            "Platforms": [{"Architecture": "amd64", "OS": "linux"}],
        },
        "Networks": [
            {"Target": references.network_id, "Aliases": ["alias"], "DriverOpts": {"k": "v"}}
        ],
        "LogDriver": {"Name": "json-file", "Options": {"max-size": "1m"}},
        "ForceUpdate": 2,
        "Runtime": "container",
    }


def _container(references: References) -> dict[str, Any]:
    context = {"Disable": True, "User": "u", "Role": "r", "Type": "t", "Level": "l"}
    return {
        "Image": "lab/web:1",
        "Labels": {"com.example.container": "v"},
        "Command": ["/bin/serve"],
        "Args": ["one", "two"],
        "Hostname": "h-{{.Task.Slot}}",
        "Env": ["A=1", "EMPTY="],
        "Dir": "/tmp",
        "User": "root",
        "Groups": ["root"],
        "Privileges": {
            "CredentialSpec": None,
            "SELinuxContext": context,
            **(MODERN_PRIVILEGES if references.modern else {}),
        },
        "Init": True,
        "StopSignal": "SIGKILL",
        "OpenStdin": True,
        "Mounts": _mounts(),
        "StopGracePeriod": 3 * SECOND,
        "Healthcheck": {
            "Test": ["CMD", "true"],
            "Interval": SECOND,
            "Timeout": SECOND // 2,
            "Retries": 3,
            "StartPeriod": SECOND // 10,
        },
        "Hosts": ["10.9.9.9 elsewhere"],
        "DNSConfig": {"Nameservers": ["1.1.1.1"], "Search": ["x"], "Options": ["ndots:1"]},
        "Secrets": [references.secret],
        "Configs": [references.config],
        "Isolation": "default",
        "Sysctls": {"net.core.somaxconn": "1024"},
        "CapabilityAdd": ["CAP_NET_ADMIN"],
        "CapabilityDrop": ["CAP_MKNOD"],
        "Ulimits": [{"Name": "nofile", "Hard": 2048, "Soft": 1024}],
    }


def _mounts() -> list[Spec]:
    driver = {"Name": "local", "Options": {"type": "tmpfs"}}
    return [
        {
            "Type": "volume",
            "Source": "data",
            "Target": "/data",
            "VolumeOptions": {"NoCopy": True, "Labels": {"q": "r"}, "DriverConfig": driver},
        },
        {
            "Type": "tmpfs",
            "Target": "/scratch",
            "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 511},
        },
        {
            "Type": "bind",
            "Source": "/tmp",
            "Target": "/host",
            "ReadOnly": True,
            "BindOptions": {"Propagation": "rprivate"},
        },
    ]
