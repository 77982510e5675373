"""Named probes of the reference stack: not whether it runs, but whether it really answers."""

import json
import math
import time
import urllib.parse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import docker.errors
import requests

from lab.stack import NAME, StackFailed
from lab.swarm import Nodes, NotAnswering, Swarm, get

AGAIN_SECONDS = 1.0
ROWS = 6000
SLOTS = 16384
RABBITMQ = 'curl -fsS --user "sutazai:$(cat /run/secrets/rabbitmq_password)" 127.0.0.1:15672'
REDIS = 'REDISCLI_AUTH="$(cat /run/secrets/redis_password)" redis-cli'
PSQL = "psql --host=/tmp --username=postgres --dbname=sutazai --no-align --tuples-only --command"
COUNT_ROWS = "SELECT count(*) FROM documents"
COUNT_STREAMS = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"

# Word for word as in the deployment guide.
GUIDE_QUERIES = {
    "CPU of ai-agent": 'avg(rate(container_cpu_usage_seconds_total{service="ai-agent"}[5m])) * 100',
    "length of a queue": 'sum(celery_queue_length{queue_name="inference"})',
    "95th percentile": "histogram_quantile(0.95, rate(http_request_duration_seconds_bucket[5m]))",
    "state of the Redis cluster": 'redis_cluster_state{job="redis"}',
}
TROUBLE = (NotAnswering, docker.errors.DockerException, requests.RequestException)


@dataclass(frozen=True)
class Check:
    """`probe` raises NotAnswering with the reason, or returns; `services` are whom to ask then."""

    name: str
    probe: Callable[[Swarm], None]
    services: tuple[str, ...]

    def reason(self, swarm: Swarm) -> str | None:
        """Why it fails; None if all is well."""
        try:
            self.probe(swarm)
        except TROUBLE as error:
            return str(error)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            return f"an answer that is not understood: {error!r}"
        return None


def checks() -> list[Check]:
    return [
        Check("all tasks run", tasks_run, ()),
        Check("Consul has a leader of three", consul, ("consul-server-1",)),
        Check(
            "RabbitMQ is a cluster of three", rabbitmq, ("rabbitmq-1", "rabbitmq-2", "rabbitmq-3")
        ),
        Check("Redis holds all slots, each twice", redis, ("redis-master-1", "redis-slave-1")),
        Check("PostgreSQL streams to two replicas", postgres, ("postgres-primary",)),
        Check(
            "PostgreSQL's replicas have the rows",
            rows,
            ("postgres-replica-1", "postgres-replica-2"),
        ),
        Check("HAProxy leads to ai-agent", haproxy, ("haproxy", "ai-agent")),
        Check("ai-agent is in Consul", registered, ("ai-agent",)),
        Check("Celery carried a task out", celery, ("celery-worker", "ai-agent")),
        Check("Ollama answers", ollama, ("ollama",)),
        Check("Qdrant has its collections", qdrant, ("qdrant-1", "qdrant-2")),
        Check("Jaeger has traces of ai-agent", jaeger, ("jaeger",)),
        Check("Alertmanager is ready", alertmanager, ("alertmanager",)),
        Check("Prometheus reaches every target", prometheus, ("prometheus",)),
        *(
            Check(f"Prometheus knows the {name}", _query_check(query), ("prometheus",))
            for name, query in GUIDE_QUERIES.items()
        ),
    ]


def wait(nodes: Nodes, seconds: float, report: Callable[[str], None]) -> float:
    """Until every check passes, telling of each; returns how long it took."""
    swarm, began = Swarm(nodes, NAME), time.monotonic()
    asked = checks()
    failing: dict[str, str] = {}
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = {
            pool.submit(_until_it_passes, check, swarm, began + seconds): check for check in asked
        }
        for answer in as_completed(answers):
            check, reason = answers[answer], answer.result()
            if reason is None:
                report(f"{time.monotonic() - began:5.1f} s  {check.name}")
            else:
                failing[check.name] = reason
    if failing:
        raise StackFailed(_diagnosis(swarm, failing, seconds))
    return time.monotonic() - began


def _until_it_passes(check: Check, swarm: Swarm, deadline: float) -> str | None:
    """Its reason at the deadline, or None."""
    while True:
        reason = check.reason(swarm)
        if reason is None or time.monotonic() > deadline:
            return reason
        time.sleep(AGAIN_SECONDS)


def _diagnosis(swarm: Swarm, failing: dict[str, str], seconds: float) -> str:
    lines = [f"After {seconds:g} s the stack is not healthy:"]
    lines += [f"- {name}: {reason}" for name, reason in failing.items()]
    concerned = {name for check in checks() if check.name in failing for name in check.services}
    for service in sorted(concerned):
        lines.append(f"{service}:")
        try:
            lines += [f"  {line}" for line in swarm.last_words(service)]
        except TROUBLE as error:
            lines.append(f"  {error}")
    return "\n".join(lines)


def expect(truth: bool, reason: str) -> None:
    if not truth:
        raise NotAnswering(reason)


def tasks_run(swarm: Swarm) -> None:
    running: dict[str, int] = {}
    for task in swarm.running():
        running[task["ServiceID"]] = running.get(task["ServiceID"], 0) + 1
    services = swarm.services()
    short = [
        f"{service['Spec']['Name']} {running.get(service['ID'], 0)}/{wanted}"
        for service in services
        if running.get(service["ID"], 0) < (wanted := service["ServiceStatus"]["DesiredTasks"])
    ]
    expect(bool(services), "the stack is not deployed")
    expect(not short, ", ".join(short))


def consul(swarm: Swarm) -> None:
    for ip in swarm.addresses("consul-server-1"):
        leader = get(f"http://{ip}:8500/v1/status/leader")
        peers = get(f"http://{ip}:8500/v1/status/peers")
        expect(bool(leader), "there is no leader")
        expect(len(peers) == 3, f"there are {len(peers)} servers")


def registered(swarm: Swarm) -> None:
    ip = swarm.addresses("consul-server-1")[0]
    found = get(f"http://{ip}:8500/v1/health/service/ai-agent?passing=true")
    expect(bool(found), "no instance passes its check")


def rabbitmq(swarm: Swarm) -> None:
    nodes = json.loads(swarm.run("rabbitmq-1", f"{RABBITMQ}/api/nodes"))
    running = [node["name"] for node in nodes if node["running"]]
    expect(len(running) == 3, f"running: {', '.join(running) or 'none'}")


def redis(swarm: Swarm) -> None:
    answer = swarm.run("redis-master-1", f"{REDIS} cluster info")
    info = dict(line.strip().split(":") for line in answer.splitlines() if ":" in line)
    expect(info["cluster_state"] == "ok", f"cluster_state is {info['cluster_state']}")
    expect(int(info["cluster_slots_ok"]) == SLOTS, f"{info['cluster_slots_ok']} slots are held")
    nodes = swarm.run("redis-master-1", f"{REDIS} cluster nodes").splitlines()
    replicas = [line for line in nodes if "slave" in line and "fail" not in line]
    expect(len(replicas) == 3, f"{len(replicas)} replicas are there")


def postgres(swarm: Swarm) -> None:
    streaming = int(swarm.run("postgres-primary", f'{PSQL} "{COUNT_STREAMS}"'))
    expect(streaming == 2, f"{streaming} replicas are streaming")


def rows(swarm: Swarm) -> None:
    for service in ("postgres-replica-1", "postgres-replica-2"):
        found = int(swarm.run(service, f'{PSQL} "{COUNT_ROWS}"'))
        expect(found >= ROWS, f"{service} has {found} rows")


def haproxy(swarm: Swarm) -> None:
    for ip in swarm.addresses("haproxy"):
        get(f"http://{ip}/chat")


def celery(swarm: Swarm) -> None:
    ip = swarm.addresses("haproxy")[0]
    get(f"http://{ip}/tasks?queue=inference&seconds=0.01&wait=4", method="POST")


def ollama(swarm: Swarm) -> None:
    ip = swarm.addresses("haproxy")[0]
    expect(bool(get(f"http://{ip}:11434/api/tags")["models"]), "it has no models")


def qdrant(swarm: Swarm) -> None:
    for service, collection in (("qdrant-1", "documents"), ("qdrant-2", "memories")):
        ip = swarm.addresses(service)[0]
        found = get(f"http://{ip}:6333/collections/{collection}")["result"]
        expect(found["points_count"] > 0, f"{collection} is empty")


def jaeger(swarm: Swarm) -> None:
    ip = swarm.addresses("jaeger")[0]
    expect("ai-agent" in get(f"http://{ip}:16686/api/services")["data"], "no span of ai-agent came")


def alertmanager(swarm: Swarm) -> None:
    get(f"http://{swarm.addresses('alertmanager')[0]}:9093/-/ready")


def prometheus_of(nodes: Nodes) -> str:
    """Where the lab's Prometheus answers."""
    return _prometheus(Swarm(nodes, NAME))


def _prometheus(swarm: Swarm) -> str:
    return f"http://{swarm.addresses('prometheus')[0]}:9090"


def prometheus(swarm: Swarm) -> None:
    address = f"{_prometheus(swarm)}/api/v1/targets?state=active"
    targets = get(address)["data"]["activeTargets"]
    down = [target["scrapeUrl"] for target in targets if target["health"] != "up"]
    jobs = {target["scrapePool"] for target in targets}
    expect(not down, f"down or not asked yet: {', '.join(down)}")
    silent = {"ai-agent", "cadvisor", "node", "haproxy", "celery-worker"} - jobs
    expect(not silent, f"no target of {', '.join(sorted(silent))}")


def _query_check(query: str) -> Callable[[Swarm], None]:
    def probe(swarm: Swarm) -> None:
        haproxy(swarm)  # a percentile of no requests is no number
        asked = urllib.parse.urlencode({"query": query})
        found = get(f"{_prometheus(swarm)}/api/v1/query?{asked}")["data"]["result"]
        numbers = [float(series["value"][1]) for series in found]
        expect(any(not math.isnan(number) for number in numbers), "it has no value yet")

    return probe
