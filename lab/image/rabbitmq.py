"""Starts a RabbitMQ node of a cluster that forms by itself, with its data on /data.

RABBITMQ_PEERS names the nodes, which are host names too. Swarm makes a name known only when its
task is healthy, and RabbitMQ needs its peers' names to start, as they need its own: so this waits
until the health check has passed once (bin/rabbitmq-healthy lets it pass meanwhile) and all peers
are known.
"""

import base64
import hashlib
import json
import os
import secrets
import socket
import time
from pathlib import Path
from typing import Any, NoReturn

from lab.image.web import end_on_sigterm, log, secret

DATA = Path("/data")
CHECKED = Path("/tmp/was-checked")  # noqa: S108 - the container's own
PATIENCE = 90.0
TURN_SECONDS = 6.0
PORT = 5672
PROGRAMS = Path("/usr/lib/rabbitmq/lib")
PLUGINS = "[rabbitmq_management,rabbitmq_prometheus]."
# Quiet schedulers: three idle nodes on one machine would keep it busy.
ERLANG = "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"


def main() -> None:
    end_on_sigterm()
    peers = os.environ.get("RABBITMQ_PEERS", "").split()
    password = secret("rabbitmq_password")
    DATA.joinpath("log").mkdir(exist_ok=True)
    private(DATA / ".erlang.cookie", hashlib.sha256(f"cookie {password}".encode()).hexdigest())
    private(DATA / "enabled_plugins", PLUGINS)
    granted = definitions("sutazai", password, mirrored=mirrors())
    private(DATA / "definitions.json", json.dumps(granted))
    private(DATA / "rabbitmq.conf", configuration(peers))
    wait_for(peers)
    wait_for_turn(peers)
    start()


def private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_text(text)


def configuration(peers: list[str]) -> str:
    members = [
        f"cluster_formation.classic_config.nodes.{number} = rabbit@{peer}"
        for number, peer in enumerate(peers, 1)
    ]
    lines = (
        "loopback_users = none",
        "load_definitions = /data/definitions.json",
        "vm_memory_high_watermark.absolute = 256MB",
        "disk_free_limit.absolute = 50MB",
        "log.console = true",
        "log.console.level = warning",
        "log.console.formatter = json",
        "log.file = false",
        "cluster_partition_handling = pause_minority",
        "cluster_formation.peer_discovery_backend = classic_config",
        *members,
    )
    return "\n".join([*lines, ""])


def mirrors() -> bool:
    """Whether this RabbitMQ can mirror queues: 3 can; 4 does not start if it is asked to."""
    return not any(PROGRAMS.glob("rabbitmq_server-[4-9]*"))


def definitions(user: str, password: str, *, mirrored: bool) -> dict[str, Any]:
    """The user, and the policy that mirrors queues if they can be, as an export has them."""
    grants = {"configure": ".*", "write": ".*", "read": ".*"}
    account = {"password_hash": hashed(password), "hashing_algorithm": HASHING}
    mirroring = {"ha-mode": "all", "ha-sync-mode": "automatic"}
    queues = {"vhost": "/", "name": "mirrored", "pattern": "^(inference|processing|training)$"}
    policy = {**queues, "apply-to": "queues", "definition": mirroring, "priority": 0}
    return {
        "vhosts": [{"name": "/"}],
        "users": [{"name": user, **account, "tags": ["administrator"]}],
        "permissions": [{"user": user, "vhost": "/", **grants}],
        "policies": [policy] if mirrored else [],
    }


HASHING = "rabbit_password_hashing_sha256"


def hashed(password: str) -> str:
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def wait_for(peers: list[str]) -> None:
    """A peer that stays away must not hold the others up for ever."""
    deadline = time.monotonic() + PATIENCE
    while peers and time.monotonic() < deadline and not all_known(peers):
        time.sleep(0.5)
    log("peers", known=[peer for peer in peers if known(peer)])


def wait_for_turn(peers: list[str]) -> None:
    """One a while after the other: nodes that start at once fail over each other's feature flags.

    Not for long, because the one that comes first may be waiting for the one that stopped last.
    """
    for peer in peers[: peers.index(socket.gethostname())] if peers else []:
        deadline = time.monotonic() + TURN_SECONDS
        while time.monotonic() < deadline and not answers(peer):
            time.sleep(0.5)


def answers(host: str) -> bool:
    try:
        socket.create_connection((host, PORT), timeout=2).close()
    except OSError:
        return False
    return True


def all_known(peers: list[str]) -> bool:
    """This one by its health check: its own name it finds in its own list of hosts."""
    return CHECKED.exists() and all(known(peer) for peer in peers)


def known(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None, socket.AF_INET)
    except OSError:
        return False
    return True


def start() -> NoReturn:
    environment = {
        **os.environ,
        "HOME": str(DATA),
        "RABBITMQ_MNESIA_BASE": str(DATA / "mnesia"),
        "RABBITMQ_LOG_BASE": str(DATA / "log"),
        "RABBITMQ_PID_FILE": str(DATA / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(DATA / "enabled_plugins"),
        "RABBITMQ_CONFIG_FILE": str(DATA / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG,
    }
    os.execvpe("rabbitmq-server", ["rabbitmq-server"], environment)  # noqa: S606, S607


if __name__ == "__main__":
    main()
