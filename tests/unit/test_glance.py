"""Every cluster and stack at a glance: the worst first, what is not known never told as well."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from access.authorize import one_look
from access.models import User
from access.policy import Role
from clusters import fragments, glance
from clusters.models import Cluster, Node, Operation, Service
from live.changes import Touched
from tests.unit.panel import MARKS, browser_of, make_cluster, make_service, make_user

pytestmark = MARKS


def look(user: User | None = None) -> list[glance.ClusterGlance]:
    return glance.look(user or make_user(Role.VIEWER))


def page(user: User | None = None, path: str = "/") -> str:
    return browser_of(user or make_user(Role.VIEWER)).get(path).content.decode()


def in_trouble(cluster: Cluster, name: str, health: str = "failing", **of: Any) -> Service:
    service = make_service(cluster, name, health=health, **of)
    service.unwell_since = timezone.now() - timedelta(minutes=5)
    service.last_error = f"{name} has an error"
    service.save()
    return service


def test_the_worst_comes_first_and_says_why_and_since_when() -> None:
    cluster = make_cluster()
    make_service(cluster, "a_web", stack="a")
    in_trouble(cluster, "c_web", stack="c", health="pending")
    in_trouble(cluster, "b_web", stack="b")
    make_service(cluster, "b_db", stack="b")
    (found,) = look()
    assert [stack.name for stack in found.stacks] == ["b", "c", "a"]
    worst, *_, well = found.stacks
    assert (worst.health, worst.well, worst.services) == ("failing", 1, 2)
    assert [service.name for service in worst.worst] == ["b_web"]
    assert worst.since == Service.objects.get(name="b_web").unwell_since
    assert (well.health, well.worst, well.since) == ("running", [], None)
    text = page()
    assert "b_web has an error" in text
    assert "2 services in trouble" in text
    assert "/clusters/local/services/b_web/" in text


def test_a_service_that_failed_a_moment_ago_is_no_good_news_yet() -> None:
    service = in_trouble(make_cluster(), "shop_web", health="running", stack="shop")
    (found,) = look()
    assert found.stacks[0].health == "unstable"
    assert found.troubled == 1
    assert "Unstable" in page()
    Service.objects.filter(pk=service.pk).update(unwell_since=None)
    assert look()[0].stacks[0].health == "running"


def test_a_card_names_a_few_services_and_counts_the_others() -> None:
    cluster = make_cluster()
    for number in range(7):
        in_trouble(cluster, f"shop_s{number}", stack="shop")
    (stack,) = look()[0].stacks
    assert (len(stack.worst), stack.more) == (glance.SHOWN, 4)
    assert "and 4 more" in page()


@pytest.mark.parametrize(
    "gone",
    [{"state": "unreachable", "state_message": "It is away."}, {"seen_at": None},
     {"seen_at": timezone.now() - timedelta(minutes=9)}],
)  # fmt: skip
def test_of_a_cluster_that_nobody_sees_nothing_is_told_as_well(gone: dict[str, Any]) -> None:
    make_service(make_cluster("prod"), "shop_web", stack="shop")
    Cluster.objects.update(**gone)
    text = page()
    assert "Cannot know" in text
    assert "No service is in trouble" not in text
    assert "Running" not in text
    assert "tone-good" not in text
    text = page(path="/wall/")
    assert "Cannot know" in text
    assert "tone-good" not in text


def test_a_cluster_that_is_seen_is_told_apart_from_one_that_is_not() -> None:
    make_service(make_cluster("seen"), "a_web", stack="a")
    make_service(make_cluster("away", state="unreachable"), "b_web", stack="b")
    assert [found.cluster.name for found in look()] == ["away", "seen"]
    text = " ".join(page().split())
    assert "Cannot know" in text
    assert "No service is in trouble in 1 other cluster" in text


def test_a_node_that_is_away_is_no_good_news() -> None:
    cluster = make_cluster()
    make_service(cluster)
    Node.objects.update(state="down")
    verdict = glance.verdict(look())
    assert (verdict.nodes_away, verdict.tone) == (1, "warn")
    assert "1 node away" in page()


def test_what_is_under_way_stands_on_its_stacks_card() -> None:
    cluster, kim = make_cluster(), User.objects.create_user("kim")
    web = make_service(cluster, "shop_web", stack="shop")
    Operation.objects.create(
        cluster=cluster, kind="update", target="shop_web", target_id=web.engine_id, stack="shop",
        requested_by=kim, state="running", done=2, total=6,
    )  # fmt: skip
    text = page()
    assert "Update shop_web" in text
    assert "2/6" in text


def test_one_sees_ones_own_stacks_alone() -> None:
    cluster = make_cluster()
    make_service(cluster, "shop_web", stack="shop")
    in_trouble(cluster, "blog_web", stack="blog")
    somebody = make_user(Role.VIEWER, cluster="local", stack="shop")
    (found,) = look(somebody)
    assert [stack.name for stack in found.stacks] == ["shop"]
    assert "blog" not in page(somebody)
    assert "No service is in trouble" in page(somebody)
    assert look(make_user()) == []
    assert "You may see no cluster" in page(make_user())


def test_empty_and_new_clusters_have_words_of_their_own() -> None:
    assert "No cluster yet" in page()
    cluster = make_cluster()
    assert "No service runs here" in page()
    Cluster.objects.update(seen_at=None, state="unknown")
    assert "has not looked" in page()
    Cluster.objects.update(state="not-a-swarm", seen_at=timezone.now())
    assert "initialise it" in page()
    assert cluster.name in page(path="/wall/")


# --- The price -----------------------------------------------------------------------------------


def _fill(clusters: int, stacks: int) -> None:
    for number in range(clusters):
        cluster = make_cluster(f"c{number}")
        for stack in range(stacks):
            in_trouble(cluster, f"c{number}_s{stack}", stack=f"s{stack}")


@pytest.mark.parametrize(("clusters", "stacks"), [(1, 1), (3, 8)])
def test_a_look_takes_a_fixed_number_of_queries(
    clusters: int, stacks: int, django_assert_num_queries: Any
) -> None:
    _fill(clusters, stacks)
    user = make_user(Role.VIEWER)
    with django_assert_num_queries(6), one_look():
        glance.verdict(glance.look(user))


# --- Live ----------------------------------------------------------------------------------------


def push(*touched: Touched, user: User | None = None) -> dict[str, str]:
    return fragments.render(user or make_user(Role.VIEWER), "overview", list(touched))


def test_a_change_of_one_service_pushes_the_card_of_its_stack_alone() -> None:
    _fill(2, 3)
    found = push(Touched("c0", "service", "id-c0_s1", stack="s1"))
    assert found.keys() == {"verdict", "cluster-c0", "stack-c0-s1"}
    assert "c0_s1 has an error" in found["stack-c0-s1"]
    assert push(Touched("c0", "task", "t", "id-c0_s1", "s1")) == {}


def test_a_cluster_that_goes_away_turns_all_of_its_cards() -> None:
    _fill(2, 2)
    Cluster.objects.filter(name="c1").update(state="unreachable")
    found = push(Touched("c1", "cluster", "c1"))
    assert found.keys() == {"verdict", "cluster-c1", "stack-c1-s0", "stack-c1-s1"}
    assert "Cannot know" in found["stack-c1-s0"]


def test_a_stack_that_is_gone_leaves_the_page_of_those_who_saw_it() -> None:
    make_service(make_cluster(), "shop_web", stack="shop")
    gone = Touched("local", "service", "x", stack="blog")
    assert "data-live-remove" in push(gone)["stack-local-blog"]
    somebody = make_user(Role.VIEWER, cluster="local", stack="shop")
    assert "stack-local-blog" not in push(gone, user=somebody)


def test_a_cluster_that_is_forgotten_leaves_the_page_of_those_who_saw_it() -> None:
    make_cluster("other")
    gone = Touched("prod", "cluster", "prod")
    assert "data-live-remove" in push(gone)["glance-prod"]
    somebody = make_user(Role.VIEWER, cluster="other")
    assert "glance-prod" not in push(gone, user=somebody)


def test_a_picture_that_grows_old_is_pushed_without_a_change() -> None:
    cluster = make_cluster()
    before = fragments.clock(["overview"])
    Cluster.objects.update(seen_at=timezone.now() - timedelta(minutes=1))
    assert fragments.clock(["overview"]) != before
    assert fragments.clock([f"freshness:{cluster.name}"]).keys() == {"freshness:local"}


def test_an_odd_name_of_a_stack_makes_an_element_all_the_same() -> None:
    assert glance.element_of("a", "shop") == "stack-a-shop"
    assert " " not in glance.element_of("a", "my shop")
    assert glance.element_of("a", "my shop") != glance.element_of("a", "my  shop")
