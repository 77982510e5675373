"""A cluster's source: who sets it, what of it is secret, and which one holds."""

from typing import Any

import pytest
from django.urls import reverse

from access.models import AuditEntry
from access.policy import Role
from clusters.models import Cluster
from metrics import sources
from metrics.models import Source
from metrics.ports import MetricsAway
from tests.unit.panel import MARKS, browser_of, client_of, make_cluster, make_service, make_user

pytestmark = MARKS
ADDRESS = "https://prometheus.example.net/prom"
PATH = "/clusters/local/metrics/source"


@pytest.fixture
def cluster() -> Cluster:
    return make_cluster()


def put(**body: Any) -> Any:
    return client_of(Role.ADMIN).request("PUT", PATH, {"address": ADDRESS, **body})


def test_a_source_is_set_and_no_secret_of_it_is_told(cluster: Cluster) -> None:
    answer = put(token="t0ken")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["address"], told["has_token"], told["state"]) == (ADDRESS, True, "unknown")
    assert "t0ken" not in answer.content.decode()
    assert b"t0ken" not in bytes(Source.objects.get().token_sealed)
    entry = AuditEntry.objects.get(action="cluster.register")
    assert entry.detail["metrics"] == ADDRESS
    assert "t0ken" not in str(entry.detail)
    assert sources.access_of(Source.objects.get()).token == "t0ken"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"address": "prometheus:9090"}, "write it as http://host:9090"),
        ({"address": "file:///etc/passwd"}, "write it as http://host:9090"),
        ({"address": "http://a:b@host"}, "no name and no password"),
        ({"address": "http://host/?query=up"}, "nothing after"),
        ({"address": "http://host:0"}, "no address"),
        ({"address": "http://169.254.169.254"}, "does not connect to"),
        ({"address": "http://[::ffff:169.254.169.254]:80"}, "does not connect to"),
        ({"token": "a", "username": "b"}, "not both"),
        ({"password": "a"}, "needs a user name"),
        ({"token": "a\r\nX-Evil: 1"}, "one line"),
        ({"ca": "no pem"}, "not a certificate"),
        ({"unknown": 1}, "not known"),
    ],
)
def test_what_makes_no_source_is_refused(cluster: Cluster, body: Any, words: str) -> None:
    answer = put(**body)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert not Source.objects.exists()


def test_a_secret_stays_with_its_address_and_is_not_sent_elsewhere(cluster: Cluster) -> None:
    put(token="t0ken")
    put(ca="")
    assert sources.access_of(Source.objects.get()).token == "t0ken"
    put(address="https://elsewhere.example.net")
    assert sources.access_of(Source.objects.get()).token == ""


def test_a_password_stays_with_its_name(cluster: Cluster) -> None:
    put(username="ada", password="sesame")
    put(username="ada")
    assert sources.access_of(Source.objects.get()).password == "sesame"
    put(username="bob")
    assert sources.access_of(Source.objects.get()).password == ""


def test_credentials_that_cannot_be_unsealed_are_a_source_that_is_away(
    cluster: Cluster, settings: Any
) -> None:
    put(token="t0ken")
    settings.SECRET_KEY = "another" * 10
    with pytest.raises(MetricsAway, match="PILOTHOUSE_SECRET_KEY was changed"):
        sources.metrics_for(Source.objects.get())


def test_names_set_by_hand_go_before_what_was_found(cluster: Cluster) -> None:
    put()
    Source.objects.update(detected={"cpu": "found", "memory": "found"})
    path = "/clusters/local/metrics/mapping"
    answer = client_of(Role.ADMIN).request("PUT", path, {"cpu": "chosen", "memory": ""})
    assert answer.json()["chosen"] == ["cpu", "memory"]
    assert (answer.json()["mapping"]["cpu"], answer.json()["mapping"]["memory"]) == ("chosen", "")
    refused = client_of(Role.ADMIN).request("PUT", path, {"cpu": 'x{} or up{a="'})
    assert refused.status_code == 422
    assert "no name of a metric" in refused.json()["detail"]


def test_a_source_is_removed(cluster: Cluster) -> None:
    put()
    assert client_of(Role.ADMIN).request("DELETE", PATH).status_code == 204
    assert client_of(Role.ADMIN).request("DELETE", PATH).status_code == 404
    assert client_of(Role.ADMIN).get(PATH).status_code == 404


# --- PROMETHEUS_URL ------------------------------------------------------------------------------


def test_the_environment_gives_the_local_cluster_its_source(
    cluster: Cluster, settings: Any
) -> None:
    settings.PROMETHEUS_URL = "http://prometheus:9090"
    settings.PROMETHEUS_USERNAME, settings.PROMETHEUS_PASSWORD = "ada", "sesame"
    assert sources.source_of(cluster) is None  # not found locally: somebody registered it
    Cluster.objects.update(found_locally=True)
    cluster.refresh_from_db()
    found = sources.source_of(cluster)
    assert found and (found.address, found.from_environment) == ("http://prometheus:9090", True)
    access = sources.access_of(found)
    assert (access.username, access.password) == ("ada", "sesame")
    assert client_of(Role.ADMIN).request("DELETE", PATH).status_code == 422
    settings.PROMETHEUS_URL = "http://other:9090"
    changed = sources.source_of(cluster)
    assert changed and changed.address == "http://other:9090"
    settings.PROMETHEUS_URL = ""
    assert sources.source_of(cluster) is None


def test_what_is_set_in_the_panel_goes_before_the_environment(
    cluster: Cluster, settings: Any
) -> None:
    settings.PROMETHEUS_URL = "http://prometheus:9090"
    Cluster.objects.update(found_locally=True)
    put()
    cluster.refresh_from_db()
    found = sources.source_of(cluster)
    assert found and (found.address, found.from_environment) == (ADDRESS, False)
    client_of(Role.ADMIN).request("DELETE", PATH)
    again = sources.source_of(cluster)
    assert again and again.from_environment


# --- Pages ---------------------------------------------------------------------------------------


def test_the_page_says_what_is_wrong_at_its_field(cluster: Cluster) -> None:
    browser = browser_of(make_user(Role.ADMIN))
    page = reverse("metrics:source", args=["local"])
    answer = browser.post(page, {"address": "prometheus"})
    assert answer.status_code == 422
    assert "This is no address of a Prometheus" in answer.content.decode()
    answer = browser.post(page, {"address": ADDRESS, "token": "a", "username": "b"})
    assert "Give a token, or a name and a password, not both." in answer.content.decode()
    assert browser.post(page, {"address": ADDRESS}).status_code == 302
    assert ADDRESS in browser.get(page).content.decode()


def test_a_service_without_a_source_says_how_to_set_one(cluster: Cluster) -> None:
    make_service(cluster)
    page = reverse("metrics:service", args=["local", "web"])
    told = browser_of(make_user(Role.ADMIN)).get(page).content.decode()
    assert "has no source of metrics" in told
    assert reverse("metrics:source", args=["local"]) in told
    seen = browser_of(make_user(Role.VIEWER)).get(page).content.decode()
    assert reverse("metrics:source", args=["local"]) not in seen


def test_a_page_and_its_data_wait_for_no_source(cluster: Cluster) -> None:
    """The address leads nowhere, and nobody is there to ask it."""
    make_service(cluster)
    Source.objects.create(cluster=cluster, address="http://192.0.2.1:9090")
    browser = browser_of(make_user(Role.VIEWER))
    assert browser.get(reverse("metrics:service", args=["local", "web"])).status_code == 200
    data = browser.get(reverse("metrics:data", args=["local", "web"]))
    assert data.json() == {"state": "loading"}
    spark = browser.get(reverse("metrics:sparklines", args=["local"]), {"service": "web"})
    assert spark.json() == {"state": "loading"}
    answer = client_of(Role.VIEWER).get("/clusters/local/services/web/metrics")
    assert answer.status_code == 503
    assert answer["Retry-After"]


def test_a_range_that_is_none_is_refused_by_the_api(cluster: Cluster) -> None:
    make_service(cluster)
    for text in ("2h", "5-4", "0-99999999999", "1h;"):
        answer = client_of(Role.VIEWER).get("/clusters/local/services/web/metrics", range=text)
        assert answer.status_code == 422, text
