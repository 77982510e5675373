"""Any query of a cluster's metrics: who may ask, what comes back, and what is kept of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from access.models import User
from access.policy import Role
from clusters.models import Cluster
from metrics import asking, history
from metrics.hints import hints
from metrics.models import AskedQuery, Source
from metrics.ports import Answer, MetricsAway, MetricsError, Series, TooMuch, WrongQuery
from metrics.tables import figure
from metrics.windows import moment
from tests.unit.panel import MARKS, browser_of, make_cluster, make_service, make_user

pytestmark = MARKS
PAGE = "/clusters/local/metrics/"
THERE = {  # each metric's labels, with their values
    "http_requests_total": {"service": ("web", "worker"), "code": ("200", "500")},
    "http_request_duration_seconds_bucket": {"le": ("1", "+Inf")},
    "celery_queue_length": {"queue_name": ("inference", "training")},
}


class Fake:
    """Answers what it is given; knows the metrics of THERE."""

    def __init__(self) -> None:
        self.series: tuple[Series, ...] = (Series({"job": "a"}, ((60.0, 1.5),)),)
        self.failure: MetricsError | None = None
        self.asked: list[str] = []

    def instant(self, query: str, at: datetime | None = None) -> Answer:
        self.asked.append(query)
        if self.failure:
            raise self.failure
        return Answer(self.series)

    def range(self, query: str, start: datetime, end: datetime, step: int) -> Answer:
        return self.instant(query)

    def values(
        self, label: str, start: datetime, end: datetime, selector: str = ""
    ) -> Sequence[str]:
        if not selector:
            return sorted(THERE)
        name, _, rest = selector.replace('{__name__="', "").partition('"}')
        if label != "__name__":
            return THERE.get(name, {}).get(label, ())
        name, _, inner = name.partition("{")
        pairs = [one.partition('="') for one in inner.rstrip("}").split(", ") if inner]
        known = THERE.get(name)
        fits = known is not None and all(v.rstrip('"') in known.get(k, ()) for k, _, v in pairs)
        return [name] if fits else []

    def labels(self, start: datetime, end: datetime, selector: str) -> Sequence[str]:
        return ["__name__", *THERE.get(selector.split('"')[1], {})]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake()
    monkeypatch.setattr(asking, "metrics_for", lambda source: made)
    return made


@pytest.fixture
def cluster() -> Cluster:
    found = make_cluster()
    make_service(found, "shop_web", stack="shop")
    Source.objects.create(cluster=found, address="http://prometheus:9090")
    return found


@pytest.fixture
def operator(cluster: Cluster) -> User:
    return make_user(Role.OPERATOR, cluster="local")


def result(who: User, query: str, **of: str) -> str:
    answer = browser_of(who).get(f"{PAGE}result/", {"query": query, **of})
    assert answer.status_code == 200, answer.content[:300]
    return str(answer.content.decode())


# --- Who may -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "scope", "status"),
    [
        (Role.ON_CALL, {"cluster": "local"}, 200),
        (Role.OPERATOR, {}, 200),
        (Role.ADMIN, {"cluster": "local"}, 200),
        (Role.VIEWER, {"cluster": "local"}, 403),
        (Role.SECRET_MANAGER, {}, 403),
        (Role.ADMIN, {"cluster": "local", "stack": "shop"}, 404),
        (Role.OPERATOR, {"cluster": "local", "stack": "shop"}, 404),
        (Role.ADMIN, {"cluster": "other"}, 404),
    ],
)
def test_who_may_query_the_whole_cluster_may_query(
    fake: Fake, cluster: Cluster, role: Role, scope: dict[str, str], status: int
) -> None:
    """A query sees all stacks: rights in one of them are not enough."""
    person = browser_of(make_user(role, **scope))
    for address in (PAGE, f"{PAGE}result/?query=up"):
        assert person.get(address).status_code == status
    assert person.post(f"{PAGE}clear/").status_code == (302 if status == 200 else status)
    assert (fake.asked == ["up"]) == (status == 200)


def test_the_link_leads_where_one_may_go(cluster: Cluster) -> None:
    shown = {
        role: browser_of(make_user(role, cluster="local", stack=stack))
        .get("/clusters/local/")
        .content.decode()
        for role, stack in ((Role.OPERATOR, ""), (Role.VIEWER, ""), (Role.ADMIN, "shop"))
    }
    assert f'href="{PAGE}"' in shown[Role.OPERATOR]
    assert f'href="{PAGE}"' not in shown[Role.VIEWER]
    assert f'href="{PAGE}panels/"' in shown[Role.VIEWER]
    assert PAGE not in shown[Role.ADMIN]
    assert "/clusters/local/stacks/shop/metrics/" in shown[Role.ADMIN]


# --- What comes back -----------------------------------------------------------------------------


def test_the_address_holds_the_query_so_that_it_can_be_shared(
    fake: Fake, cluster: Cluster, operator: User
) -> None:
    asked = {"query": 'up{job="a&b"}', "range": "6h", "unit": "bytes"}
    page = browser_of(operator).get(PAGE, asked).content.decode()
    assert "up{job=&quot;a&amp;b&quot;}</textarea>" in page
    assert 'value="6h" checked' in page
    assert 'value="bytes" selected' in page
    assert fake.asked == []  # a page waits for no source
    answer = browser_of(operator).get(f"{PAGE}result/", asked)
    assert answer["HX-Push-Url"].startswith(f"{PAGE}?query=up%7Bjob%3D%22a%26b%22%7D&range=6h")
    assert answer["Cache-Control"] == "no-store"


def test_what_makes_no_sense_in_the_address_is_left_out(cluster: Cluster, operator: User) -> None:
    page = browser_of(operator).get(PAGE, {"range": "9999y", "unit": "furlongs"})
    assert page.status_code == 200
    assert 'value="1h" checked' in page.content.decode()


def test_every_label_is_escaped(fake: Fake, cluster: Cluster, operator: User) -> None:
    evil = '"><script>alert(1)</script>'
    fake.series = tuple(
        Series({evil: f"{evil}{n}", "__name__": evil}, ((60.0, n),)) for n in (1.0, 2.0)
    )
    for span in ("1h", "instant"):
        page = result(operator, evil, range=span)
        assert "<script" not in page
        assert "&lt;script&gt;" in page
    fake.failure = WrongQuery(f"1:1: parse error: {evil}", 1, 1)
    assert "<script" not in result(operator, evil)


def test_many_series_are_bounded_and_told(fake: Fake, cluster: Cluster, operator: User) -> None:
    fake.series = tuple(Series({"n": f"n{n}"}, ((60.0, float(n)),)) for n in range(812))
    page = result(operator, "up", range="instant")
    assert "Showing 50 of 812 series" in page
    assert page.count("<tr>") == 51


def test_labels_that_all_share_are_told_once(fake: Fake, cluster: Cluster, operator: User) -> None:
    fake.series = tuple(
        Series({"job": "a", "code": code}, ((60.0, 1.0),)) for code in ("200", "500")
    )
    page = result(operator, "up", range="instant")
    assert page.count('<code>job="a"</code>') == 1
    assert '<th scope="col">code</th>' in page
    assert '<th scope="col">job</th>' not in page


def test_a_range_has_a_chart_and_an_instant_has_none(
    fake: Fake, cluster: Cluster, operator: User
) -> None:
    assert "data-chart=" in result(operator, "up", range="1h")
    assert "data-chart=" not in result(operator, "up", range="instant")


def test_a_wrong_query_is_explained_at_its_place(
    fake: Fake, cluster: Cluster, operator: User
) -> None:
    said = 'invalid parameter "query": 1:5: parse error: unclosed left parenthesis'
    fake.failure = WrongQuery(said, 1, 5)
    page = result(operator, "sum(")
    assert "line 1, column 5" in page
    assert "<mark>(</mark>" in page
    assert "is never closed" in page
    assert "parse error: unclosed left parenthesis" in page


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (TooMuch("Prometheus refused: query timed out in expression evaluation."), "too long"),
        (MetricsAway("http://prometheus:9090 did not answer."), "Metrics unavailable since"),
    ],
)
def test_other_failures_are_told(
    fake: Fake, cluster: Cluster, operator: User, failure: MetricsError, said: str
) -> None:
    fake.failure = failure
    page = result(operator, "up")
    assert said in page
    assert str(failure) in page


def test_one_query_too_many_waits_for_no_thread(
    fake: Fake, cluster: Cluster, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 0.01)
    taken = [asking._turns.acquire(blocking=False) for _ in range(asking.AT_ONCE)]
    try:
        assert "Too many queries at once" in result(operator, "up")
    finally:
        asking._turns.release(taken.count(True))
    assert fake.asked == []


def test_a_cluster_without_a_source_says_so(operator: User, cluster: Cluster) -> None:
    Source.objects.all().delete()
    assert "has no source of metrics" in browser_of(operator).get(PAGE).content.decode()
    assert "has no source of metrics" in result(operator, "up")


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (0.0, "0"), (1234567.0, "1,234,567"), (0.123456789, "0.123457"),
     (1234567.5, "1,234,567.5"), (1e-9, "1e-09"), (-3.5, "-3.5"), (1e300, "1e+300")],
)  # fmt: skip
def test_figures_can_be_read(value: float | None, said: str) -> None:
    assert figure(value) == said


# --- Nothing found -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "said", "instead"),
    [
        ("http_request_totl", "no metric named http_request_totl", "http_requests_total"),
        ("queue_size", "no metric named queue_size", "celery_queue_length"),
        ('celery_queue_length{queue_name="inferense"}', 'has queue_name="inferense"', "inference"),
        ('sum(celery_queue_length{queue="a"})', "has no label queue", "queue_name"),
        ('{job="x"}', 'No series fits {job="x"}', None),
        ("http_requests_total > 1e9", "the calculation leaves none", None),
        ("vector(1) > 2", None, None),
    ],
)
def test_what_is_not_there_is_told_with_what_is_near(
    query: str, said: str | None, instead: str | None
) -> None:
    found = hints(Fake(), query, moment(0), moment(60))
    assert len(found) == (1 if said else 0)
    for hint in found:
        assert said in hint.words
        assert instead is None or hint.instead[0] == instead


def test_hints_are_on_the_page(fake: Fake, cluster: Cluster, operator: User) -> None:
    fake.series = ()
    page = result(operator, "http_request_totl")
    assert "The query is right and finds nothing" in page
    assert "<code>http_requests_total</code>" in page


# --- What is kept --------------------------------------------------------------------------------


def kept(who: User) -> list[str]:
    return [one.query for one in history.asked_by(who)]


def test_each_keeps_their_own_queries_the_newest_of_each(
    fake: Fake, cluster: Cluster, operator: User
) -> None:
    other = make_user(Role.OPERATOR, cluster="local")
    for query in ("a", "b", "a", "  b\r\n"):
        result(operator, query, range="6h")
    result(other, "secret_of_the_other")
    assert kept(operator) == ["b", "a"]
    page = browser_of(operator).get(PAGE).content.decode()
    assert "secret_of_the_other" not in page
    assert f"{PAGE}?query=b&amp;range=6h" in page


def test_the_last_fifty_are_kept(cluster: Cluster, operator: User) -> None:
    for number in range(55):
        history.note(operator, cluster, f"q{number}", "1h")
    assert kept(operator) == [f"q{number}" for number in range(54, 4, -1)]
    assert AskedQuery.objects.count() == history.MOST


def test_clearing_clears_ones_own(cluster: Cluster, operator: User) -> None:
    other = make_user(Role.OPERATOR, cluster="local")
    for person in (operator, other):
        history.note(person, cluster, "up", "1h")
    browser_of(operator).post(f"{PAGE}clear/")
    assert (kept(operator), kept(other)) == ([], ["up"])


def test_what_was_asked_elsewhere_says_where_and_goes_with_the_right(
    cluster: Cluster, operator: User
) -> None:
    history.note(operator, make_cluster("beta"), "of_beta", "1h")
    assert kept(operator) == []  # no right there, or none any more
    everywhere = make_user(Role.ON_CALL)
    history.note(everywhere, Cluster.objects.get(name="beta"), "of_beta", "1h")
    page = browser_of(everywhere).get(PAGE).content.decode()
    assert "/clusters/beta/metrics/?query=of_beta" in page


def test_clearing_needs_the_forms_token(cluster: Cluster, operator: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = browser_of(operator).cookies
    history.note(operator, cluster, "up", "1h")
    answer: Any = strict.post(f"{PAGE}clear/")
    assert (answer.status_code, kept(operator)) == (403, ["up"])
