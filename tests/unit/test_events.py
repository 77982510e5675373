"""What happened is kept, within bounds; and what of it is told to whom."""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from access.models import Grant, User
from access.policy import Role
from clusters import fragments
from clusters.events import Event
from clusters.inventory import events, lease
from clusters.inventory.store import Store
from clusters.models import Cluster, Operation
from clusters.ports import Raw
from clusters.timeline import axis
from clusters.timeline import entries as timeline
from clusters.timeline.entries import Beside, Entry, Question, entries, told_kinds
from clusters.timeline.groups import MANY, grouped
from live.changes import Touched
from tests.unit.panel import MARKS, browser_of, client_of, make_cluster, make_service, make_user

pytestmark = MARKS
Kind = Event.Kind


def happened(cluster: Cluster, name: str = "web", **of: Any) -> Event:
    fields = {"kind": Kind.SERVICE, "before": "running", "after": "failing", "stack": "", **of}
    kind, key = fields.pop("kind"), fields.pop("key", f"id-{name}")
    return events.happened(cluster, kind, key, name, **fields)


def ask(cluster: Cluster, user: User | None = None, **of: Any) -> list[Entry]:
    now = timezone.now()
    fields = {"since": now - timedelta(hours=1), "until": now, **of}
    return entries(Question(user or make_user(Role.VIEWER), cluster, **fields))


# --- Keeping -------------------------------------------------------------------------------------


def test_what_happens_again_and_again_is_told_a_few_times_and_then_counted() -> None:
    cluster = make_cluster()
    for _ in range(20):
        told = events.keep(cluster, [happened(cluster)])
        assert told == [Touched("local", "event", "id-web")]
    rows = list(cluster.events.order_by("pk"))
    assert [row.count for row in rows] == [1, 1, 18]
    assert rows[-1].last_at > rows[-1].at
    events.keep(cluster, [happened(cluster, "db")])
    assert cluster.events.count() == 4, "another service is another matter"


def test_many_at_once_are_counted_as_one_after_the_other_would_be() -> None:
    cluster = make_cluster()
    events.keep(cluster, [happened(cluster) for _ in range(20)])
    assert sum(cluster.events.values_list("count", flat=True)) == 20
    assert cluster.events.count() == events.APART


def test_what_happens_again_much_later_is_told_anew() -> None:
    cluster = make_cluster()
    for _ in range(5):
        events.keep(cluster, [happened(cluster)])
    cluster.events.update(last_at=timezone.now() - events.AGAIN)
    events.keep(cluster, [happened(cluster)])
    assert cluster.events.first().count == 1


def test_the_table_is_bounded_by_age_and_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST", 5)
    cluster, other = make_cluster(), make_cluster("other")
    old = timezone.now() - timedelta(days=31)
    events.keep(cluster, [happened(cluster, "old", at=old)])
    for number in range(8):
        events.keep(cluster, [happened(cluster, f"s{number}")])
    events.keep(other, [happened(other)])
    assert events.prune() == 4
    assert set(cluster.events.values_list("name", flat=True)) == {f"s{n}" for n in range(3, 8)}
    assert other.events.count() == 1


def test_nothing_happened_costs_nothing(django_assert_num_queries: Any) -> None:
    cluster = make_cluster()
    with django_assert_num_queries(0):
        assert events.keep(cluster, []) == []


def node(**of: Any) -> dict[str, Any]:
    fields = {"hostname": "node-1", "state": "ready", "availability": "active", "leader": False}
    return {**fields, "message": "", **of}


def changes_of_nodes(
    before: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]]
) -> set[tuple[str, str, str, str]]:
    found = events.of_nodes(Cluster(name="x"), before, now)
    return {(event.kind, event.name, event.before, event.after) for event in found}


def test_nodes_that_come_go_fall_and_lead() -> None:
    before = {"a": node(), "b": node(hostname="node-2"), "c": node(hostname="node-3")}
    now = {
        "a": node(state="down"),
        "b": node(hostname="node-2", availability="drain"),
        "d": node(hostname="node-4"),
    }
    assert changes_of_nodes(before, now) == {
        ("node", "node-1", "ready", "down"),
        ("node", "node-2", "active", "drain"),
        ("node", "node-3", "ready", "left"),
        ("node", "node-4", "", "joined"),
    }
    assert changes_of_nodes(before, before) == set()


def led_by(leader: str) -> list[Raw]:
    """A list of three managers, as an engine answers it; nobody leads if there is no such one."""
    return [
        {
            "ID": name,
            "Version": {"Index": 1},
            "Spec": {"Role": "manager", "Availability": "active"},
            "Description": {"Hostname": f"host-{name}"},
            "Status": {"State": "ready"},
            "ManagerStatus": {"Leader": name == leader},
        }
        for name in ("a", "b", "c")
    ]


def test_a_new_leader_is_told_though_nobody_led_in_between() -> None:
    cluster = make_cluster()
    store = Store(cluster, lease.take(cluster.pk, "test"))
    for leader in ("a", "nobody", "b", "nobody"):
        store.write_nodes(led_by(leader))
    Store(cluster, lease.take(cluster.pk, "test")).write_nodes(led_by("c"))  # after a takeover

    told = cluster.events.filter(kind=Kind.LEADER).order_by("pk")
    assert [(event.before, event.after) for event in told] == [
        ("host-a", "host-b"),
        ("host-b", "host-c"),
    ]


def test_the_leader_that_comes_back_is_no_news() -> None:
    cluster = make_cluster()
    store = Store(cluster, lease.take(cluster.pk, "test"))
    for leader in ("a", "nobody", "a"):
        store.write_nodes(led_by(leader))
    assert not cluster.events.filter(kind=Kind.LEADER)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            {"Type": "service", "Action": "update", "Actor": {"ID": "s", "Attributes": {
                "name": "web", "replicas.old": "3", "replicas.new": "5",
                "image.old": "web:1@sha256:1", "image.new": "web:2@sha256:2"}}},
            "replicas 3 → 5; image web:1 → web:2",
        ),
        ({"Type": "service", "Action": "update", "Actor": {"ID": "s"}}, "spec changed"),
        (
            {"Type": "container", "Action": "oom", "Actor": {"ID": "c", "Attributes": {
                "name": "web.1.x", "com.docker.swarm.service.id": "s"}}},
            "web.1.x ran out of memory",
        ),
        ({"Type": "container", "Action": "exec_start: sh", "Actor": {"ID": "c"}}, None),
        ({"Type": "service", "Action": "create", "Actor": {"ID": "s"}}, None),
        ({"Type": "pilothouse", "Action": "stream-broke"}, None),
    ],
)  # fmt: skip
def test_of_the_engines_events_those_are_kept_that_no_row_tells(
    raw: dict[str, Any], message: str | None
) -> None:
    found = events.of_engine(Cluster(name="x"), raw)
    assert (found.message if found else None) == message


# --- The timeline --------------------------------------------------------------------------------


def tell(cluster: Cluster, *of: dict[str, Any]) -> None:
    for fields in of:
        events.keep(cluster, [happened(cluster, **fields)])


def ago(minutes: float) -> Any:
    return timezone.now() - timedelta(minutes=minutes)


def test_a_bad_state_lasts_until_the_next() -> None:
    cluster = make_cluster()
    tell(
        cluster,
        {"at": ago(30), "after": "failing"},
        {"at": ago(20), "before": "failing", "after": "running"},
        {"at": ago(10), "after": "failing"},
    )
    last, well, first = ask(cluster)
    assert (last.open, last.until) == (True, None)
    assert (well.open, well.until) == (False, None)
    assert not first.open
    assert first.until == well.at


def test_an_operation_is_told_from_its_request_to_its_end_with_who_asked() -> None:
    cluster, kim = make_cluster(), User.objects.create_user("kim")
    web = make_service(cluster)
    of = {"kind": "scale", "target": "web", "target_id": web.engine_id, "requested_by": kim}
    Operation.objects.create(cluster=cluster, state="running", **of)
    (entry,) = ask(cluster)
    assert (entry.kind, entry.who, entry.state, entry.open) == ("operation", "kim", "running", True)
    assert ask(cluster, service=web)[0].id == entry.id
    assert ask(cluster, stack="shop") == []
    assert ask(cluster, kinds=frozenset({"node"})) == []


def test_who_sees_one_stack_sees_its_events_and_those_of_nodes() -> None:
    cluster = make_cluster()
    make_service(cluster, "shop_web", stack="shop")
    make_service(cluster, "blog_web", stack="blog")
    tell(
        cluster,
        {"name": "shop_web", "stack": "shop"},
        {"name": "blog_web", "stack": "blog"},
        {"name": "alone", "stack": ""},
        {"name": "node-1", "kind": Kind.NODE, "after": "down"},
        {"name": "local", "kind": Kind.CLUSTER, "after": "unreachable"},
    )
    somebody = make_user(Role.VIEWER, cluster="local", stack="shop")
    assert {e.name for e in ask(cluster, somebody)} == {"shop_web", "node-1", "local"}
    assert {e.name for e in ask(cluster, somebody, stack="blog")} == {"node-1", "local"}
    assert {e.name for e in ask(cluster)} >= {"blog_web", "alone"}
    touched = [Touched("local", "event", "id-blog_web", stack="blog")]
    assert fragments.render(somebody, "timeline:local", touched) == {}
    assert len(fragments.render(make_user(Role.VIEWER), "timeline:local", touched)) == 1


def test_an_app_adds_what_it_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def alerts(question: Question) -> Iterable[Entry]:
        yield Entry("alert-1", "alert", question.since, "High load", "alert", "firing", open=True)

    monkeypatch.setattr(timeline, "_sources", dict(timeline._sources))
    cluster = make_cluster()
    assert "alert" not in told_kinds(cluster)
    timeline.add_source(alerts, "alert")
    assert "alert" in told_kinds(cluster)
    assert [e.name for e in ask(cluster)] == ["High load"]
    page = browser_of(make_user(Role.VIEWER)).get("/clusters/local/timeline/").content.decode()
    assert "High load" in page
    assert "Firing" in page


def test_a_source_says_what_it_cannot_tell_and_is_asked_where_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timeline, "_sources", {})
    timeline.add_source(
        lambda question: [Entry("x-1", "alert", question.since, "High load", "alert", "firing")],
        "alert",
        there=lambda cluster: cluster.name == "local",
        beside=lambda question: Beside("Asking…", soon=True, topic="x:local", news="x-now"),
    )
    here, elsewhere = make_cluster(), make_cluster("elsewhere")
    assert (list(told_kinds(here)), told_kinds(elsewhere)) == (["alert"], {})
    assert ask(elsewhere) == []
    browser = browser_of(make_user(Role.VIEWER))
    page = browser.get("/clusters/local/timeline/").content.decode()
    assert "x:local" in page.partition("<main")[0]
    assert 'id="x-now"' in page
    assert "Asking…" in page
    page = browser.get("/clusters/elsewhere/timeline/").content.decode()
    assert "x:local" not in page
    assert "x-now" not in page


def of(number: int, seconds: float, state: str = "starting", **more: Any) -> Entry:
    at = timezone.now() - timedelta(seconds=seconds)
    return Entry(f"event-{number}", "service", at, f"s{number}", "service", state, **more)


def test_what_happened_to_many_at_once_is_one_line() -> None:
    many = [of(n, n / 100) for n in range(200)]
    other = of(900, 1, "failing")
    (line, apart) = grouped(sorted([*many, other], key=lambda e: e.at, reverse=True))
    assert (len(line.entries), line.is_one) == (200, False)
    assert (len(line.named), line.more) == (60, 140)
    assert apart.newest == other


def test_what_happened_to_few_or_one_after_the_other_is_told_one_by_one() -> None:
    assert len(grouped([of(n, n) for n in range(MANY - 1)])) == MANY - 1
    assert len(grouped([of(n, 60 * n) for n in range(10)])) == 10
    assert len(grouped([of(n, n / 10, count=4) for n in range(10)])) == 10


def test_a_page_names_many_in_one_line_and_its_marks_lead_there() -> None:
    cluster = make_cluster()
    for number in range(30):
        tell(cluster, {"name": f"s{number}"})
    page = browser_of(make_user(Role.VIEWER)).get("/clusters/local/timeline/").content.decode()
    assert page.count('<li id="event-') == 1
    (line,) = re.findall(r'<li id="(event-\d+)"', page)
    assert f'href="#{line}"' in page
    assert "<strong" in page
    assert ">30</strong> services" in page


# --- The axis ------------------------------------------------------------------------------------


def lane_of(question: Question, *found: Entry) -> axis.Lane:
    return next(lane for lane in axis.lanes(question, found) if lane.kind == "service")


def entry(question: Question, begin: float, end: float, state: str, **of: Any) -> Entry:
    """Begin and end are parts of the axis."""
    length = question.until - question.since
    at, until = (question.since + length * part for part in (begin, end))
    name = f"e{begin}-{end}-{state}"
    return Entry(name, "service", at, name, "service", state, until=until, **of)


@pytest.fixture
def hour(db: None) -> Question:
    now = timezone.now()
    return Question(make_user(), make_cluster(), now - timedelta(hours=1), now)


def test_what_lasted_is_as_long_as_it_lasted(hour: Question) -> None:
    (mark,) = lane_of(hour, entry(hour, 0.25, 0.5, "failing")).marks
    assert (mark.left, round(mark.left + mark.width), mark.tone) == (25, 51, "bad")
    assert not mark.open


def test_the_worst_of_what_lies_on_top_of_each_other_is_shown(hour: Question) -> None:
    long, short = entry(hour, 0.2, 0.8, "updating"), entry(hour, 0.4, 0.5, "failing")
    marks = lane_of(hour, long, short).marks
    assert [mark.tone for mark in marks] == ["busy", "bad", "busy"]
    assert {e.id for e in marks[1].entries} == {long.id, short.id}


def test_however_much_happened_a_lane_has_a_bounded_number_of_marks(hour: Question) -> None:
    many = [entry(hour, n / 2000, n / 2000, "running") for n in range(2000)]
    assert len(lane_of(hour, *many).marks) <= axis.COLUMNS


def test_what_began_earlier_begins_at_the_edge_and_what_lasts_ends_at_the_other(
    hour: Question,
) -> None:
    (mark,) = lane_of(hour, entry(hour, -2, -1, "failing", open=True)).marks
    assert (mark.left, mark.width, mark.open) == (0, 100, True)


@pytest.mark.parametrize("hours", [1, 6, 24, 168])
def test_ticks_are_round_times_inside_the_axis(hour: Question, hours: int) -> None:
    since = hour.until - timedelta(hours=hours)
    found = axis.ticks(Question(hour.user, hour.cluster, since, hour.until))
    assert 4 <= len(found) <= 8
    assert all(0 <= tick.left < 100 for tick in found)
    assert all(tick.at.minute % 10 == 0 for tick in found)


# --- Pages and the API ---------------------------------------------------------------------------


def test_the_page_holds_what_was_asked_for() -> None:
    cluster = make_cluster()
    make_service(cluster, "shop_web", stack="shop")
    tell(cluster, {"name": "shop_web", "stack": "shop"}, {"name": "n1", "kind": Kind.NODE})
    browser = browser_of(make_user(Role.VIEWER))
    page = browser.get("/clusters/local/timeline/?range=7d").content.decode()
    assert page.count('class="entry"') == 2
    page = browser.get("/clusters/local/timeline/?kind=node&range=strange").content.decode()
    assert page.count('class="entry"') == 1
    page = browser.get("/clusters/local/services/shop_web/timeline/").content.decode()
    assert page.count('class="entry"') == 2


def test_an_empty_timeline_of_a_cluster_that_nobody_sees_does_not_say_that_nothing_happened() -> (
    None
):
    make_cluster(state="unreachable")
    page = browser_of(make_user(Role.VIEWER)).get("/clusters/local/timeline/").content.decode()
    assert "as far as the panel could see" in page


def test_a_page_takes_the_same_number_of_queries_however_much_happened(
    django_assert_max_num_queries: Any,
) -> None:
    cluster = make_cluster()
    for number in range(30):
        tell(cluster, {"name": f"s{number}"})
    browser = browser_of(make_user(Role.VIEWER))
    with django_assert_max_num_queries(24):
        browser.get("/clusters/local/timeline/")


def test_the_api_tells_the_same_and_refuses_what_makes_no_sense() -> None:
    cluster = make_cluster()
    make_service(cluster)
    tell(cluster, {"message": "task: non-zero exit (1)"})
    api = client_of(Role.VIEWER)
    told = api.get("/clusters/local/timeline").json()
    (item,) = told["items"]
    assert (item["kind"], item["name"], item["state"], item["before"], item["count"]) == (
        "service", "web", "failing", "running", 1,
    )  # fmt: skip
    assert item["open"] is True
    assert told["cut"] is False
    assert api.get("/clusters/local/timeline", kind="node").json()["items"] == []
    assert len(api.get("/clusters/local/timeline", service="web").json()["items"]) == 1
    wrong = {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}
    assert api.get("/clusters/local/timeline", **wrong).status_code == 422
    assert api.get("/clusters/local/timeline", kind="weather").status_code == 422
    assert api.get("/clusters/local/timeline", service="ghost").status_code == 404
    Grant.objects.all().delete()
    assert api.get("/clusters/local/timeline").status_code == 404
    assert Client().get("/api/v1/clusters/local/timeline").status_code == 401
