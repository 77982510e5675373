"""Puts the reference stack on a Swarm and takes it away again."""

import base64
import hashlib
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests

from lab.swarm import Nodes, client, manager

FILES = Path(__file__).parent / "stack"
NAME = "sutazai"
FURTHER = ("sentinel",)  # stacks that are deployed on demand
DEPLOY_SECONDS = 120
REMOVE_SECONDS = 60
NAMESPACE = "com.docker.stack.namespace"
# Letters and digits alone: some of them become part of addresses and of configuration files.
SECRETS: dict[str, Callable[[], bytes]] = {
    "postgres_password": lambda: secrets.token_hex(16).encode(),
    "rabbitmq_password": lambda: secrets.token_hex(16).encode(),
    "redis_password": lambda: secrets.token_hex(16).encode(),
    "consul_encrypt_key": lambda: base64.b64encode(secrets.token_bytes(32)),
}


class StackFailed(Exception):
    """The stack could not be deployed, removed, or did not become healthy."""


def deploy(
    nodes: Nodes, tags: Mapping[str, str], file: str = "stack.yml", name: str = NAME
) -> None:
    """As `docker stack deploy` does; the secrets that are missing are made first."""
    with client(manager(nodes)) as api:
        create_secrets(api)
    command = ["stack", "deploy", "--resolve-image", "never", "--prune"]
    _docker(nodes, [*command, "--compose-file", str(FILES / file), name], variables(tags))


def create_secrets(api: docker.APIClient) -> list[str]:
    """Those that are missing, with random values that nobody is told; returns their names."""
    there = {secret["Spec"]["Name"] for secret in api.secrets()}
    missing = [name for name in SECRETS if name not in there]
    for name in missing:
        api.create_secret(name, SECRETS[name]())
    return missing


def variables(tags: Mapping[str, str]) -> dict[str, str]:
    """What the stack file leaves open: the versions in the images, and a mark for its configs.

    A config cannot be changed; with what is in it in its name, a changed file is a new config.
    """
    versions = {
        f"{name.upper().replace('-', '_')}_VERSION": tag.rpartition(":")[2]
        for name, tag in tags.items()
    }
    return {**versions, "CONFIGS": _digest()}


def _digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(FILES.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def remove(nodes: Nodes, name: str = NAME, *, data: bool = False) -> None:
    """Services and configs; networks and secrets stay, and the volumes unless `data` is to go."""
    _docker(nodes, ["stack", "rm", name])
    deadline = time.monotonic() + REMOVE_SECONDS
    while left := [task for url, _ in nodes.values() for task in _containers(url, name)]:
        if time.monotonic() > deadline:
            raise StackFailed(f"still there after {REMOVE_SECONDS} s: {', '.join(left)}")
        time.sleep(0.2)
    if data:
        for url, _ in nodes.values():
            _remove_volumes(url, name)


def _containers(url: str, name: str) -> list[str]:
    """The removal is asynchronous, and a name is free again when the last container is gone."""
    try:
        with client(url) as api:
            found = api.containers(all=True, filters={"label": f"{NAMESPACE}={name}"})
    except (docker.errors.DockerException, requests.RequestException):
        return []  # a node that is off holds nobody up
    return [container["Names"][0].lstrip("/") for container in found]


def _remove_volumes(url: str, name: str) -> None:
    with client(url) as api:
        listed: dict[str, Any] = api.volumes(filters={"label": f"{NAMESPACE}={name}"})
        for volume in listed["Volumes"] or []:
            api.remove_volume(volume["Name"])


def _docker(nodes: Nodes, command: list[str], variables: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        ["docker", "--host", manager(nodes), *command],
        env={**os.environ, **(variables or {})},
        capture_output=True,
        text=True,
        timeout=DEPLOY_SECONDS,
    )
    if done.returncode != 0:
        raise StackFailed(f"docker {' '.join(command[:2])} failed: {done.stderr.strip()}")
