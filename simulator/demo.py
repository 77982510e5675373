"""A believable cluster to look at: an AI platform and a shop on five nodes, not all of it well."""

import random
from base64 import b64encode
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

PROMETHEUS = """global:
  scrape_interval: 15s
  external_labels:
    cluster: sutazai

scrape_configs:
  - job_name: ai-agent
    dns_sd_configs:
      - names: [tasks.ai-agent]
        type: A
        port: 8000
  - job_name: redis
    static_configs:
      - targets: [redis-exporter:9121]
"""
HAPROXY = """global
  maxconn 4096

defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s

frontend http-in
  bind *:80
  default_backend ai

backend ai
  balance leastconn
  server-template ai- 10 tasks.ai-agent:8000 check resolvers docker
"""


class Stack:
    """Makes the specs of one stack, with what they have in common."""

    def __init__(self, swarm: Swarm, name: str) -> None:
        self._swarm = swarm
        self.name = name
        spec = {"Name": f"{name}_backend", "Driver": "overlay", "Labels": {STACK_LABEL: name}}
        number = len(swarm.store.networks)
        network = Network(object_id(), spec=spec, subnet=number, vxlan=4097 + number)
        self._network = swarm.store.load(network)
        self._files: dict[str, Spec] = {}  # secrets and configs by their names in the stack

    def keep(self, kind: type[Secret] | type[Config], name: str, data: str = "") -> None:
        """A secret or config of the stack, for its services to refer to as `secrets`, `configs`."""
        encoded = {"Data": b64encode(data.encode()).decode()} if data else {}
        spec = {"Name": f"{self.name}_{name}", "Labels": {STACK_LABEL: self.name}, **encoded}
        record: Secret | Config = self._swarm.store.load(kind(object_id(), spec=spec))
        title = kind.__name__
        self._files[name] = {f"{title}ID": record.id, f"{title}Name": spec["Name"]}

    def _mounted(self, names: dict[str, str] | None) -> list[Spec]:
        return [
            {"File": {"Name": file, "UID": "0", "GID": "0", "Mode": 0o444}, **self._files[name]}
            for name, file in (names or {}).items()
        ]

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
        secrets: dict[str, str] | None = None,
        configs: dict[str, str] | None = None,
    ) -> Spec:
        labels = {STACK_LABEL: self.name, "com.docker.stack.image": image}
        container: Spec = {
            "Image": image,
            "Labels": {STACK_LABEL: self.name},
            "Env": env or [],
            "Mounts": [self._mount(text) for text in mounts or []],
            "Secrets": self._mounted(secrets),
            "Configs": self._mounted(configs),
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
    _fill_files(platform)
    _fill_foundation(platform)
    _fill_applications(platform)
    _fill_shop(Stack(swarm, "shop"))


def _fill_files(stack: Stack) -> None:
    for name in ("pg_password", "grafana_admin", "registry_token"):
        stack.keep(Secret, name)
    stack.keep(Config, "prometheus.yml", PROMETHEUS)
    stack.keep(Config, "haproxy.cfg", HAPROXY)


def _fill_foundation(stack: Stack) -> None:
    stack.add(
        "haproxy",
        "haproxy:2.8-alpine",
        mode={"Global": {}},
        ports=[(80, 80), (8404, 8404)],
        check="haproxy -c -f /usr/local/etc/haproxy/haproxy.cfg",
        configs={"haproxy.cfg": "/usr/local/etc/haproxy/haproxy.cfg"},
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
        secrets={"pg_password": "pg_password"},
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
        secrets={"pg_password": "pg_password"},
        check="curl -f http://localhost:8000/health",
        update=_update("rollback", parallelism=2, order="start-first"),
        ports=[(8000, 8000)],
    )
    stack.add(
        "celery-worker",
        "sutazai/backend:2.4.1",
        replicas=3,
        env=["CELERY_BROKER_URL=amqp://rabbitmq-1:5672//", "C_FORCE_ROOT=1"],
        secrets={"pg_password": "pg_password"},
        constraints=["node.role==worker"],
    )
    stack.add(
        "prometheus",
        "prom/prometheus:v2.48.1",
        ports=[(9090, 9090)],
        memory=512,
        configs={"prometheus.yml": "/etc/prometheus/prometheus.yml"},
    )
    stack.add(
        "grafana",
        "grafana/grafana:10.2.3",
        ports=[(3000, 3000)],
        env=["GF_SECURITY_ADMIN_PASSWORD__FILE=/run/secrets/grafana_admin"],
        secrets={"grafana_admin": "grafana_admin"},
    )
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
