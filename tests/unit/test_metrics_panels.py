"""Saved panels: who sees them, who changes them, and what a cluster has from the start."""

import pytest

from access.models import AuditEntry, User
from access.policy import Role
from clusters.models import Cluster
from metrics import pictures, saving
from metrics.cache import Cache
from metrics.models import SavedPanel, Source
from metrics.pictures import Subject, draw
from metrics.ports import Answer, Series, WrongQuery
from metrics.starting import STARTING, give_starting_panels
from tests.unit.panel import MARKS, ApiClient, browser_of, make_cluster, make_service, make_user

pytestmark = MARKS
STACK, WHOLE = "/clusters/local/stacks/shop/metrics/", "/clusters/local/metrics/panels/"
NEW = "/clusters/local/metrics/new-panel/"
FIELDS = {"title": "Requests", "query": "rate(x[5m])", "unit": "per-second", "stack": "shop"}
API = "/clusters/local/panels"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(saving, "wrong_with", lambda cluster, query: "")
    found = make_cluster()
    make_service(found, "shop_web", stack="shop")
    make_service(found, "blog_web", stack="blog")
    Source.objects.create(cluster=found, address="http://prometheus:9090")
    return found


@pytest.fixture
def operator(cluster: Cluster) -> User:
    return make_user(Role.OPERATOR, cluster="local")


def make_panel(cluster: Cluster, title: str = "P", stack: str = "shop", **of: object) -> SavedPanel:
    position = SavedPanel.objects.count()
    fields = {"query": "up", "position": position, **of}
    return SavedPanel.objects.create(cluster=cluster, stack=stack, title=title, **fields)


def titles(stack: str = "shop") -> list[str]:
    return [one.title for one in SavedPanel.objects.filter(stack=stack, removed_at=None)]


def told() -> list[tuple[str, str, str]]:
    rows = AuditEntry.objects.filter(action="metrics.query", phase="event").order_by("id")
    return [(row.target, row.stack, row.detail["what"]) for row in rows]


# --- Who sees them -------------------------------------------------------------------------------


def test_a_stacks_panels_are_for_those_who_see_the_stack(cluster: Cluster) -> None:
    make_panel(cluster, "Of the shop")
    make_panel(cluster, "Of all", "")
    within = browser_of(make_user(Role.VIEWER, cluster="local", stack="shop"))
    page = within.get(STACK)
    assert page.status_code == 200
    assert "panel-list" not in page.content.decode()
    assert within.get(f"{STACK}data/").status_code == 200
    assert within.get("/clusters/local/stacks/blog/metrics/").status_code == 404
    assert within.get(WHOLE).status_code == 404
    whole = browser_of(make_user(Role.VIEWER, cluster="local"))
    assert (whole.get(STACK).status_code, whole.get(WHOLE).status_code) == (200, 200)
    assert whole.get("/clusters/local/stacks/ghost/metrics/").status_code == 404


def test_the_api_lists_what_one_sees(cluster: Cluster, operator: User) -> None:
    for stack in ("shop", "blog", ""):
        make_panel(cluster, f"Of {stack or 'all'}", stack)
    within = ApiClient(make_user(Role.ADMIN, cluster="local", stack="shop"))
    assert [one["title"] for one in within.get(API).json()["items"]] == ["Of shop"]
    every = ApiClient(operator).get(API).json()
    assert [one["title"] for one in every["items"]] == ["Of all", "Of blog", "Of shop"]
    own = ApiClient(operator).get(API, stack="").json()
    assert [one["title"] for one in own["items"]] == ["Of all"]


# --- Who changes them ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "stack", "status"),
    [(Role.ADMIN, "shop", 404), (Role.OPERATOR, "shop", 404), (Role.VIEWER, "", 403)],
)
def test_only_who_may_query_the_whole_cluster_changes_panels(
    cluster: Cluster, role: Role, stack: str, status: int
) -> None:
    """Or rights in one stack would be enough to see what all others do."""
    panel = make_panel(cluster)
    person = make_user(role, cluster="local", stack=stack)
    browser, api = browser_of(person), ApiClient(person)
    at = f"{WHOLE}{panel.pk}/"
    answers = [
        browser.get(NEW), browser.post(NEW, FIELDS), browser.post(f"{at}edit/", FIELDS),
        browser.post(f"{at}move/", {"by": "1"}), browser.post(f"{at}remove/"),
        browser.post(f"{at}put-back/"), api.post(API, FIELDS),
        api.request("PATCH", f"{API}/{panel.pk}", {"title": "x"}),
        api.request("DELETE", f"{API}/{panel.pk}"),
    ]  # fmt: skip
    assert {answer.status_code for answer in answers} == {status}
    assert titles() == ["P"]
    assert told() == []


def test_a_panel_is_saved_from_the_query_page(cluster: Cluster, operator: User) -> None:
    browser = browser_of(operator)
    form = browser.get(NEW, {"query": 'up{job="a"}', "unit": "bytes", "stack": "shop"})
    page = form.content.decode()
    assert "up{job=&quot;a&quot;}</textarea>" in page
    assert '<option value="shop" selected>' in page
    answer = browser.post(NEW, {**FIELDS, "warning": "10", "critical": "20"})
    assert (answer.status_code, answer["Location"]) == (302, STACK)
    panel = SavedPanel.objects.get()
    assert (panel.title, panel.query, panel.unit) == ("Requests", "rate(x[5m])", "per-second")
    assert (panel.warning, panel.critical, panel.created_by) == (10, 20, operator)
    assert told() == [("Requests", "shop", "saved")]


@pytest.mark.parametrize(
    ("field", "value"),
    [("title", " "), ("query", ""), ("unit", "furlongs"), ("stack", "ghost"), ("warning", "nan")],
)
def test_what_makes_no_sense_is_refused(
    cluster: Cluster, operator: User, field: str, value: str
) -> None:
    answer = browser_of(operator).post(NEW, {**FIELDS, field: value})
    assert answer.status_code == 422
    assert "errorlist" in answer.content.decode()
    assert ApiClient(operator).post(API, {**FIELDS, field: value}).status_code == 422
    assert titles() == []


def test_a_query_that_prometheus_refuses_is_not_saved(
    cluster: Cluster, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "wrong_with", lambda cluster, query: "The “(” is never closed.")
    answer = browser_of(operator).post(NEW, FIELDS)
    assert (answer.status_code, "never closed" in answer.content.decode()) == (422, True)
    refused = ApiClient(operator).post(API, FIELDS)
    assert (refused.status_code, "never closed" in refused.json()["detail"]) == (422, True)
    assert titles() == []


def test_panels_are_moved_and_changed(cluster: Cluster, operator: User) -> None:
    a, b, c = (make_panel(cluster, name) for name in "ABC")
    browser, api = browser_of(operator), ApiClient(operator)
    browser.post(f"{WHOLE}{c.pk}/move/", {"by": "-1"})
    assert titles() == ["A", "C", "B"]
    browser.post(f"{WHOLE}{a.pk}/move/", {"by": "-1"})  # it is the first already
    assert titles() == ["A", "C", "B"]
    assert api.request("PATCH", f"{API}/{b.pk}", {"position": 0}).json()["position"] == 0
    assert titles() == ["B", "A", "C"]
    browser.post(f"{WHOLE}{b.pk}/edit/", {"title": "New", "query": "up", "unit": "none"})
    assert titles() == ["New", "A", "C"]
    api.request("PATCH", f"{API}/{a.pk}", {"warning": 5})
    api.request("PATCH", f"{API}/{a.pk}", {"warning": None, "title": "A2"})
    a.refresh_from_db()
    assert (a.warning, a.title) == (None, "A2")


def test_what_was_removed_can_be_put_back(cluster: Cluster, operator: User) -> None:
    panel = make_panel(cluster)
    make_panel(cluster, "Q")
    browser = browser_of(operator)
    answer = browser.post(f"{WHOLE}{panel.pk}/remove/")
    assert answer["Location"] == f"{STACK}?arrange=1&removed={panel.pk}"
    assert "was removed" in browser.get(answer["Location"]).content.decode()
    assert titles() == ["Q"]
    assert browser.post(f"{WHOLE}{panel.pk}/move/", {"by": "1"}).status_code == 404
    browser.post(f"{WHOLE}{panel.pk}/put-back/")
    assert titles() == ["Q", "P"]
    assert [what for *_, what in told()] == ["removed", "put back"]


def test_a_panel_of_another_cluster_is_not_there(cluster: Cluster, operator: User) -> None:
    other = make_panel(make_cluster("beta"), stack="")
    assert browser_of(operator).post(f"{WHOLE}{other.pk}/remove/").status_code == 404


def test_there_is_an_end_to_panels(
    cluster: Cluster, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "MOST", 1)
    make_panel(cluster)
    assert "already" in browser_of(operator).post(NEW, FIELDS).content.decode()


# --- From the start ------------------------------------------------------------------------------


def test_a_source_brings_the_guides_four_queries_once(cluster: Cluster) -> None:
    admin = make_user(Role.ADMIN)
    source = "/clusters/local/metrics/source"
    for address in ("http://192.0.2.1:9090", "http://192.0.2.2:9090"):
        assert ApiClient(admin).request("PUT", source, {"address": address}).status_code == 200
    assert titles("") == [one.title for one in STARTING]
    browser = browser_of(admin)
    browser.post(f"{WHOLE}{SavedPanel.objects.get(given='redis-state').pk}/remove/")
    give_starting_panels(cluster)
    assert "Redis cluster status" not in titles("")  # nor does it come again by itself
    page = browser.get(WHOLE).content.decode()
    assert "Put Redis cluster status back" in page


# --- Drawn ---------------------------------------------------------------------------------------


def test_saved_panels_are_drawn_with_what_they_need(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_panel(cluster, "Many", query="many", warning=0.0)
    make_panel(cluster, "None", query='sum(rate(none{a="b"}[5m])) / none_total')
    make_panel(cluster, "Wrong", query="sum(")

    class Fake:
        def instant(self, query: str, at: object = None) -> Answer:
            return Answer(())

        def range(self, query: str, start: object, end: object, step: int) -> Answer:
            if query == "sum(":
                raise WrongQuery("1:5: parse error: unclosed left parenthesis", 1, 5)
            many = (Series({"job": "j", "n": f"{n:02}"}, ()) for n in range(30))
            return Answer(tuple(many) if query == "many" else ())

    monkeypatch.setattr(pictures, "metrics_for", lambda source: Fake())
    monkeypatch.setattr(pictures, "CACHE", Cache())
    many, none, wrong = draw(Subject("panels", "local", range="1h", stack="shop")).charts
    assert [line.label for line in many.lines] == ["Warning"]
    assert many.warnings == ("Showing 20 of 30 series.",)
    assert many.series[0].label == 'n="00"'  # what tells it apart
    assert (none.series, none.needs) == ((), 'none{a="b"} and none_total')
    assert "is never closed" in wrong.error
