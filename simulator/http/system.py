"""/_ping, /version, /info, /swarm and the little of containers and images that clients ask for."""

from typing import Any

from aiohttp import web

from simulator.clock import now, rfc3339
from simulator.cluster import Swarm
from simulator.http.errors import ApiError
from simulator.http.requests import (
    body_of,
    bytes_response,
    filters_of,
    json_response,
    manager,
    swarm_of,
)
from simulator.http.versions import API_VERSIONS, ENGINE_VERSION
from simulator.objects import Task, TaskState
from simulator.render import TLS_INFO

SIMULATED_LABEL = "io.pilothouse.simulated=true"


async def ping(request: web.Request) -> web.Response:
    headers = {"Cache-Control": "no-cache, no-store, must-revalidate", "Pragma": "no-cache"}
    return web.Response(text="OK", headers=headers)


async def version(request: web.Request) -> web.Response:
    supported = request.app[API_VERSIONS]
    engine = {
        "Name": "Engine",
        "Version": ENGINE_VERSION,
        "Details": {"ApiVersion": supported.newest},
    }
    return json_response(
        {
            "Platform": {"Name": "Simulated Swarm"},
            "Components": [engine],
            "Version": ENGINE_VERSION,
            "ApiVersion": supported.newest,
            "MinAPIVersion": supported.oldest,
            "GitCommit": "simulated",
            "GoVersion": "none",
            "Os": "linux",
            "Arch": "amd64",
            "KernelVersion": "simulated",
        }
    )


async def info(request: web.Request) -> web.Response:
    swarm = swarm_of(request)
    running = len(_local_running(swarm)) if swarm.active else 0
    return json_response(
        {
            "ID": swarm.engine_id,
            "Containers": running,
            "ContainersRunning": running,
            "ContainersPaused": 0,
            "ContainersStopped": 0,
            "Images": 0,
            "Driver": "simulated",
            "SystemTime": rfc3339(now()),
            "KernelVersion": "simulated",
            "OperatingSystem": "Simulated Swarm",
            "OSType": "linux",
            "Architecture": "x86_64",
            "NCPU": 8,
            "MemTotal": 32 << 30,
            "Name": swarm.local_node.hostname if swarm.active else "manager-1",
            "Labels": [SIMULATED_LABEL],
            "ServerVersion": ENGINE_VERSION,
            "Swarm": _swarm_block(swarm),
            "LiveRestoreEnabled": False,
            "SecurityOptions": [],
            "Warnings": None,
        }
    )


def _swarm_block(swarm: Swarm) -> dict[str, Any]:
    if not swarm.active:
        return {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        }
    nodes = list(swarm.store.nodes)
    managers = [node for node in nodes if node.role == "manager"]
    return {
        "NodeID": swarm.local_node.id,
        "NodeAddr": swarm.local_node.address,
        "LocalNodeState": "active",
        "ControlAvailable": True,
        "Error": "",
        "RemoteManagers": [
            {"NodeID": node.id, "Addr": f"{node.address}:2377"} for node in managers
        ],
        "Nodes": len(nodes),
        "Managers": len(managers),
        "Cluster": _cluster(swarm),
    }


def _cluster(swarm: Swarm) -> dict[str, Any]:
    return {
        "ID": swarm.record.id,
        "Version": {"Index": swarm.record.version},
        "CreatedAt": rfc3339(swarm.record.created),
        "UpdatedAt": rfc3339(swarm.record.updated),
        "Spec": swarm.spec,
        "TLSInfo": TLS_INFO,
        "RootRotationInProgress": False,
        "DefaultAddrPool": ["10.0.0.0/8"],
        "SubnetSize": 24,
        "DataPathPort": 4789,
    }


async def inspect_swarm(request: web.Request) -> web.Response:
    swarm = manager(request)
    return json_response(_cluster(swarm) | {"JoinTokens": swarm.tokens})


async def init_swarm(request: web.Request) -> web.Response:
    swarm = swarm_of(request)
    await body_of(request)
    if swarm.active:
        raise ApiError(
            503,
            'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm '
            "and join another one.",
        )
    swarm.initialise()
    return json_response(swarm.local_node.id)


def _local_running(swarm: Swarm) -> list[Task]:
    tasks = swarm.store.node_tasks(swarm.local_node.id)
    return [task for task in tasks if task.state == TaskState.RUNNING]


async def containers(request: web.Request) -> web.Response:
    swarm = swarm_of(request)
    filters_of(request, ("label", "name", "id", "status", "health", "is-task"))
    running = _local_running(swarm) if swarm.active else []
    return json_response([_container(swarm, task) for task in running])


def _container(swarm: Swarm, task: Task) -> dict[str, Any]:
    service = swarm.store.services.get(task.service_id)
    name = f"{service.name if service else ''}.{task.slot or task.node_id}.{task.id}"
    return {
        "Id": task.status.container_id,
        "Names": [f"/{name}"],
        "Image": task.image,
        "Created": task.started // 1_000_000_000,
        "State": "running",
        "Status": "Up",
        "Labels": {
            "com.docker.swarm.node.id": task.node_id,
            "com.docker.swarm.service.id": task.service_id,
            "com.docker.swarm.service.name": service.name if service else "",
            "com.docker.swarm.task.id": task.id,
            "com.docker.swarm.task.name": name,
        },
    }


async def nothing(request: web.Request) -> web.Response:
    """A list that is always empty: images."""
    return bytes_response(b"[]")
