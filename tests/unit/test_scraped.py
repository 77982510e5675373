"""`/metrics`: who gets in, that its figures are right, and that a look at them is cheap."""

import json
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from access.models import User
from clusters.adapters.measured import endpoint_of, measured
from clusters.models import Cluster, Operation
from controlpanel import figures
from telemetry import reporting, series
from telemetry.models import ProcessReport
from telemetry.reporting import report
from tests.unit.panel import MARKS, make_cluster, make_service

pytestmark = MARKS
TOKEN = "scraper " * 3
ROOT = Path(__file__).parent.parent.parent
Labels = frozenset[tuple[str, str]]


@pytest.fixture(autouse=True)
def token(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.METRICS_TOKEN = TOKEN.strip()
    monkeypatch.setattr(figures, "ended", figures._Ended())


def scrape(client: Client | None = None) -> dict[str, dict[Labels, float]]:
    answer = (client or Client()).get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200, answer.content
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(answer.content.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return found


def at(told: dict[Labels, float], **labels: str) -> float:
    return next(value for key, value in told.items() if labels.items() <= dict(key).items())


def make_operation(cluster: Cluster, target: str, **of: Any) -> Operation:
    user, _ = User.objects.get_or_create(username="kim")
    fields = {"kind": "scale", "target": target, "target_id": target, "requested_by": user, **of}
    return Operation.objects.create(cluster=cluster, **fields)


# --- Who gets in ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shown", ["", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN])
def test_without_the_token_nothing_is_told(shown: str) -> None:
    make_cluster("hidden")
    answer = Client().get("/metrics", headers={"authorization": shown} if shown else {})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert b"hidden" not in answer.content


def test_without_a_token_in_the_settings_nobody_gets_in(settings: Any) -> None:
    settings.METRICS_TOKEN = ""
    for shown in ("Bearer ", "Bearer", ""):
        assert Client().get("/metrics", headers={"authorization": shown}).status_code == 404


# --- That the figures are right ------------------------------------------------------------------


def test_the_queue_is_told_from_the_rows() -> None:
    cluster = make_cluster()
    before = timezone.now() - timedelta(minutes=5)
    make_operation(cluster, "a", released_at=before)
    make_operation(cluster, "b")
    make_operation(cluster, "c", state="running")
    told = scrape()
    depth = told["pilothouse_operations"]
    assert [at(depth, state=s) for s in ("awaiting", "pending", "running")] == [0, 2, 1]
    assert 300 <= told["pilothouse_operations_oldest_pending_seconds"][frozenset()] < 310


def test_an_ended_operation_is_counted_once_however_often_it_is_looked_at() -> None:
    cluster, now = make_cluster(), timezone.now()

    def end(target: str, ago: float, took: float, state: str = "succeeded") -> None:
        finished = now - timedelta(seconds=ago)
        operation = make_operation(cluster, target, state=state, finished_at=finished)
        begun = finished - timedelta(seconds=took)
        Operation.objects.filter(pk=operation.pk).update(created_at=begun)

    end("long ago", 4000, 8)
    end("just now", 1, 45)
    end("failed", 2, 45, "failed")
    for _ in range(3):
        told = scrape()
    counts = told["pilothouse_operation_seconds_count"]
    assert at(counts, kind="scale", state="succeeded") == 2
    assert at(counts, kind="scale", state="failed") == 1
    buckets = told["pilothouse_operation_seconds_bucket"]
    assert at(buckets, state="succeeded", le="10.0") == 1
    assert at(buckets, state="succeeded", le="60.0") == 2
    assert at(told["pilothouse_operation_seconds_sum"], state="succeeded") == pytest.approx(53)
    end("next", 0, 1)
    assert at(scrape()["pilothouse_operation_seconds_count"], state="succeeded") == 3


def test_a_cluster_that_nobody_looks_at_is_told_by_its_age_and_lease() -> None:
    now = timezone.now()
    cluster = make_cluster("prod", state="unreachable")
    Cluster.objects.update(seen_at=now - timedelta(seconds=90), watcher_until=now)
    make_service(cluster, "web", health="failing")
    told = scrape()
    assert at(told["pilothouse_watcher_look_age_seconds"], cluster="prod") >= 90
    assert at(told["pilothouse_watcher_lease_seconds"], cluster="prod") == 0
    assert at(told["pilothouse_cluster_state"], cluster="prod", state="unreachable") == 1
    assert at(told["pilothouse_services"], cluster="prod", health="failing") == 1


def test_what_another_process_counted_is_told_with_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with measured("GET", "/services/abc"):
        pass
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(reporting, "process_name", lambda: "worker@elsewhere:7")
        elsewhere.setattr(reporting, "_role", "worker")
        report()
    told = scrape()["pilothouse_engine_request_seconds_count"]
    assert at(told, process="worker@elsewhere:7", endpoint="/services/{id}") >= 1
    assert at(told, role="web", endpoint="/services/{id}") >= 1
    ProcessReport.objects.update(at=timezone.now() - timedelta(minutes=2))
    silent = scrape()["pilothouse_engine_request_seconds_count"]
    assert not any("worker@elsewhere:7" in dict(key).values() for key in silent)


def test_a_process_has_one_row_however_often_it_reports() -> None:
    report()
    report()
    assert ProcessReport.objects.count() == 1


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/services", "/services"),
        ("/services/kq3s1o2m6v0r8t4y7u9i5p1a2/update", "/services/{id}/update"),
        ("/secrets/create", "/secrets/create"),
        ("/swarm/init", "/swarm/init"),
        ("/_ping", "/_ping"),
    ],
)
def test_an_endpoint_is_told_without_the_id_in_it(path: str, endpoint: str) -> None:
    assert endpoint_of(path) == endpoint


def test_a_failed_call_is_counted_by_how_it_failed() -> None:
    labels = ("GET", "/nodes", "unreachable")
    before = series.ENGINE_ERRORS.labels(*labels)._value.get()
    with pytest.raises(OSError), measured("GET", "/nodes"):
        raise ConnectionRefusedError
    assert series.ENGINE_ERRORS.labels(*labels)._value.get() == before + 1


# --- What a look costs, and what may stand in it -------------------------------------------------


def test_a_look_takes_a_fixed_handful_of_queries(django_assert_num_queries: Any) -> None:
    for number in range(3):
        cluster = make_cluster(f"c{number}")
        make_service(cluster, f"web{number}")
        make_operation(cluster, "x", finished_at=timezone.now(), state="succeeded")
    with django_assert_num_queries(7):
        scrape()


def test_no_service_and_no_person_is_named() -> None:
    make_service(make_cluster(), "very-own-name")
    make_operation(Cluster.objects.get(), "very-own-name")
    text = json.dumps([[name, [dict(k) for k in v]] for name, v in scrape().items()])
    assert "very-own-name" not in text
    assert "kim" not in text


# --- What others make of it ----------------------------------------------------------------------

DEPLOY = ROOT / "deploy"
ALERTS = DEPLOY / "prometheus/pilothouse-alerts.yml"
NAMES = re.compile(r"\b((?:pilothouse|process)_[a-z_]+)\b(?!\")")


@pytest.fixture
def exposed() -> set[str]:
    """The names of all samples that there can be."""
    make_service(make_cluster())
    answer = Client().get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    suffixes = {
        "counter": ["_total"],
        "gauge": [""],
        "histogram": ["_bucket", "_sum", "_count"],
    }
    return {
        family.name + suffix
        for family in text_string_to_metric_families(answer.content.decode())
        for suffix in suffixes[family.type]
    }


def expressions(of: Any) -> list[str]:
    if isinstance(of, dict):
        own = [of["expr"]] if isinstance(of.get("expr"), str) else []
        own += [of["query"]["query"]] if isinstance(of.get("query"), dict) else []
        return own + [found for value in of.values() for found in expressions(value)]
    return [found for one in of for found in expressions(one)] if isinstance(of, list) else []


def test_the_dashboard_asks_for_nothing_that_is_not_exposed(exposed: set[str]) -> None:
    board = json.loads((DEPLOY / "grafana/pilothouse.json").read_text())
    asked = {name for text in expressions(board) for name in NAMES.findall(text)}
    assert len(asked) > 15
    assert asked - exposed == set()
    own = {name.rsplit("_", 1)[0] for name in exposed if name.endswith(("_bucket", "_count"))}
    told = {name for name in exposed if not name.endswith(("_bucket", "_sum", "_count"))} | own
    unused = {n for n in told if n.startswith("pilothouse_") and not any(n in a for a in asked)}
    assert unused == set(), "what nobody looks at need not be counted"


def test_every_panel_says_what_it_shows_and_in_which_unit() -> None:
    board = json.loads((DEPLOY / "grafana/pilothouse.json").read_text())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    for panel in panels:
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
    assert any(len(p["fieldConfig"]["defaults"]["thresholds"]["steps"]) > 1 for p in panels)


def test_an_alert_asks_for_nothing_that_is_not_exposed(exposed: set[str]) -> None:
    asked = set(NAMES.findall(ALERTS.read_text()))
    assert len(asked) > 6
    assert asked - exposed == set()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus' tool is not installed")
def test_prometheus_takes_the_rules_and_the_scrape_example(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text(TOKEN)
    example = (DEPLOY / "prometheus/prometheus.yml").read_text()
    shutil.copy(ALERTS, tmp_path)
    given = tmp_path / "prometheus.yml"
    given.write_text(example.replace("/run/secrets/pilothouse-metrics-token", str(secret)))
    for command in (["check", "rules", ALERTS], ["check", "config", given]):
        done = subprocess.run(["promtool", *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus' tool is not installed")
def test_prometheus_finds_nothing_to_say_of_the_names() -> None:
    text = Client().get("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).content
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
