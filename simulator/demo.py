"""A believable cluster to look at: an AI platform and a shop on five nodes, not all of it well."""

import random
from typing import Any

from simulator.cluster import Swarm
from simulator.identifiers import object_id
from simulator.logs import Chatter
from simulator.objects import Config, Network, Secret, Service, Spec
from simulator.population import add_running
from simulator.specs import SECOND, normalise_service

MEGABYTE = 1 << 20
STACK_LABEL = "com.docker.stack.namespace"
NODES = [
    ("manager-1", "manager", {"zone": "a", "storage": "ssd"}),
    ("manager-2", "manager", {"zone": "b", "storage": "ssd"}),
    ("manager-3", "manager", {"zone": "c", "storage": "ssd"}),
    ("worker-1", "worker", {"zone": "a", "gpu": "a10"}),
    ("worker-2", "worker", {"zone": "b"}),
]


class Stack:
    """Makes the specs of one stack, with what they have in common."""

    def __init__(self, swarm: Swarm, name: str) -> None:
        self._swarm = swarm
        self.name = name
        spec = {"Name": f"{name}_backend", "Driver": "overlay", "Labels": {STACK_LABEL: name}}
        number = len(swarm.store.networks)
        network = Network(object_id(), spec=spec, subnet=number, vxlan=4097 + number)
        self._network = swarm.store.load(network)

    def add(self, name: str, image: str, **options: Any) -> Service:
        """A service that has been running for a while."""
        return add_running(self._swarm, self.spec(name, image, **options), age_seconds=86_400)

    def start(self, name: str, image: str, **options: Any) -> Service:
        """A service that is started now."""
        service = Service(object_id(), spec=normalise_service(self.spec(name, image, **options)))
        self._swarm.store.create(service)
        return service

    def spec(
        self,
        name: str,
        image: str,
        replicas: int = 1,
        mode: Spec | None = None,
        env: list[str] | None = None,
        mounts: list[str] | None = None,
        ports: list[tuple[int, int]] | None = None,
        constraints: list[str] | None = None,
        check: str | None = None,
        memory: int = 256,
        update: Spec | None = None,
        restart: Spec | None = None,
    ) -> Spec:
        labels = {STACK_LABEL: self.name, "com.docker.stack.image": image}
        container: Spec = {
            "Image": image,
            "Labels": {STACK_LABEL: self.name},
            "Env": env or [],
            "Mounts": [self._mount(text) for text in mounts or []],
        }
        if check:
            container["Healthcheck"] = {
                "Test": ["CMD-SHELL", check],
                "Interval": 10 * SECOND,
                "Timeout": 3 * SECOND,
                "Retries": 3,
            }
        return {
            "Name": f"{self.name}_{name}",
            "Labels": labels,
            "TaskTemplate": {
                "ContainerSpec": container,
                "Resources": _resources(memory),
                "RestartPolicy": restart or {"Condition": "any", "Delay": 5 * SECOND},
                "Placement": {"Constraints": constraints or []},
                "Networks": [{"Target": self._network.id, "Aliases": [name]}],
            },
            "Mode": mode or {"Replicated": {"Replicas": replicas}},
            "UpdateConfig": update or _update("rollback"),
            "RollbackConfig": _update("pause"),
            "EndpointSpec": {"Mode": "vip", "Ports": [_port(*pair) for pair in ports or []]},
        }

    def _mount(self, text: str) -> Spec:
        source, _, target = text.partition(":")
        if source.startswith("/"):
            return {"Type": "bind", "Source": source, "Target": target, "ReadOnly": True}
        return {"Type": "volume", "Source": f"{self.name}_{source}", "Target": target}


def _resources(megabytes: int) -> Spec:
    return {
        "Limits": {"NanoCPUs": SECOND, "MemoryBytes": megabytes * MEGABYTE},
        "Reservations": {"NanoCPUs": SECOND // 10, "MemoryBytes": megabytes * MEGABYTE // 2},
    }


def _update(action: str, parallelism: int = 1, order: str = "stop-first") -> Spec:
    return {
        "Parallelism": parallelism,
        "Delay": 2 * SECOND,
        "FailureAction": action,
        "Monitor": 5 * SECOND,
        "MaxFailureRatio": 0.1,
        "Order": order,
    }


def _port(published: int, target: int) -> Spec:
    return {
        "Protocol": "tcp",
        "TargetPort": target,
        "PublishedPort": published,
        "PublishMode": "ingress",
    }


def fill_demo(swarm: Swarm) -> None:
    swarm.store.nodes.by_id.clear()
    for number, (hostname, role, labels) in enumerate(NODES):
        node = swarm.add_node(hostname, role=role, labels=labels, leader=number == 0)
        if number == 0:
            swarm.events.local_node_id = node.id
    platform = Stack(swarm, "sutazai")
    _fill_foundation(platform)
    _fill_applications(platform)
    _fill_shop(Stack(swarm, "shop"))
    _fill_objects(swarm)


def _fill_foundation(stack: Stack) -> None:
    stack.add(
        "haproxy",
        "haproxy:2.8-alpine",
        mode={"Global": {}},
        ports=[(80, 80), (8404, 8404)],
        check="haproxy -c -f /usr/local/etc/haproxy/haproxy.cfg",
        mounts=["/etc/sutazai/haproxy:/usr/local/etc/haproxy"],
    )
    for number in (1, 2, 3):
        where = ["node.role==manager", f"node.hostname==manager-{number}"]
        stack.add(
            f"consul-server-{number}",
            "hashicorp/consul:1.17",
            env=["CONSUL_BIND_INTERFACE=eth0", f"CONSUL_NODE=consul-{number}"],
            mounts=[f"consul{number}-data:/consul/data"],
            constraints=where,
            check="consul members",
        )
        stack.add(
            f"rabbitmq-{number}",
            "rabbitmq:3.12-management",
            env=["RABBITMQ_DEFAULT_USER=sutazai", f"RABBITMQ_NODENAME=rabbit@rabbitmq-{number}"],
            mounts=[f"rabbitmq{number}-data:/var/lib/rabbitmq"],
            constraints=where,
            check="rabbitmq-diagnostics -q ping",
            memory=512,
        )
    stack.add("redis", "redis:7-alpine", replicas=6, check="redis-cli ping", memory=128)
    stack.add(
        "postgres",
        "postgres:16-alpine",
        env=["POSTGRES_DB=sutazai", "POSTGRES_PASSWORD_FILE=/run/secrets/pg_password"],
        mounts=["pg-data:/var/lib/postgresql/data"],
        constraints=["node.labels.storage==ssd", "node.hostname==manager-1"],
        check="pg_isready -U postgres",
        memory=1024,
        update=_update("pause"),
    )


def _fill_applications(stack: Stack) -> None:
    stack.add(
        "ollama",
        "ollama/ollama:0.1.32",
        constraints=["node.labels.gpu==a10"],
        mounts=["ollama-models:/root/.ollama"],
        memory=4096,
    )
    stack.add(
        "ai-agent",
        "sutazai/ai-agent:2.4.1",
        replicas=10,
        env=["OLLAMA_URL=http://ollama:11434", "API_TOKEN=not-a-real-token", "LOG_LEVEL=info"],
        check="curl -f http://localhost:8000/health",
        update=_update("rollback", parallelism=2, order="start-first"),
        ports=[(8000, 8000)],
    )
    stack.add(
        "celery-worker",
        "sutazai/backend:2.4.1",
        replicas=3,
        env=["CELERY_BROKER_URL=amqp://rabbitmq-1:5672//", "C_FORCE_ROOT=1"],
        constraints=["node.role==worker"],
    )
    stack.add("prometheus", "prom/prometheus:v2.48.1", ports=[(9090, 9090)], memory=512)
    stack.add("grafana", "grafana/grafana:10.2.3", ports=[(3000, 3000)])
    stack.add("jaeger", "jaegertracing/all-in-one:1.52", ports=[(16686, 16686)])


def _fill_shop(stack: Stack) -> None:
    stack.add("web", "shop/web:5.1.0", replicas=4, ports=[(8080, 8080)], check="wget -q localhost")
    stack.add("api", "shop/api:5.1.0", replicas=3, env=["DATABASE_HOST=db"])
    stack.add("db", "postgres:15-alpine", mounts=["db-data:/var/lib/postgresql/data"])
    stack.add("cache", "memcached:1.6", replicas=2, memory=64)
    stack.start(
        "mailer",
        "shop/mailer-crash:5.1.0",
        env=["SMTP_HOST=mail.invalid", "LAB_CRASH_AFTER=8", "LAB_EXIT_CODE=2"],
        restart={"Condition": "any", "Delay": 12 * SECOND},
    )
    stack.start("search", "shop/search:5.1.0", constraints=["node.labels.disk==nvme"], replicas=2)


def _fill_objects(swarm: Swarm) -> None:
    for name in ("pg_password", "grafana_admin", "registry_token"):
        spec = {"Name": f"sutazai_{name}", "Labels": {STACK_LABEL: "sutazai"}}
        swarm.store.load(Secret(object_id(), spec=spec))
    for name in ("prometheus.yml", "haproxy.cfg"):
        spec = {"Name": f"sutazai_{name}", "Labels": {STACK_LABEL: "sutazai"}, "Data": "IyBkZW1v"}
        swarm.store.load(Config(object_id(), spec=spec))


def _words(*templates: str) -> Chatter:
    def say(image: str, number: int, generator: random.Random) -> str:
        return generator.choice(templates).format(n=number, ms=generator.randrange(2, 900))

    return say


CHATTER: dict[str, Chatter] = {
    "haproxy": _words(
        '10.0.1.{ms} [http] http-in web/web-{n} 0/0/1/{ms}/{ms} 200 1432 "GET /api HTTP/1.1"',
        'http-in ai/ai-{n} 0/0/0/{ms}/{ms} 200 512 "POST /v1/chat HTTP/1.1"',
    ),
    "consul": _words(
        "[INFO]  agent: Synced service: service=ai-agent-{n}",
        "[INFO]  agent.server.serf.lan: serf: EventMemberUpdate: consul-{n}",
    ),
    "rabbitmq": _words(
        "[info] <0.{ms}.0> accepting AMQP connection <0.{ms}.0> (10.0.1.{n}:5672)",
        "[info] <0.{ms}.0> connection <0.{ms}.0>: user 'sutazai' authenticated",
    ),
    "redis": _words(
        "1:M * {ms} changes in 60 seconds. Saving...", "1:M * DB saved on disk in {ms} ms"
    ),
    "postgres": _words(
        "LOG:  checkpoint complete: wrote {n} buffers (0.1%); write={ms} ms",
        "LOG:  automatic vacuum of table sutazai.public.jobs: index scans: 1",
    ),
    "ollama": _words('[GIN] | 200 | {ms}ms | 10.0.1.{n} | POST "/api/generate"'),
    "ai-agent": _words(
        "INFO agent: completed task id={n} tokens={ms}",
        "INFO agent: model answered in {ms} ms",
        "WARNING agent: queue is {n} deep",
    ),
    "backend": _words(
        "[INFO/ForkPoolWorker-2] Task pipeline.embed[{n}] succeeded in 0.{ms}s: None"
    ),
    "prometheus": _words('level=info component=tsdb msg="Head GC completed" duration={ms}ms'),
    "grafana": _words("logger=context level=info msg=Request status=200 duration={ms}ms"),
}
