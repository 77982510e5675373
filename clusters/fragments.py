"""The live push: for each topic that a page shows, the fragments that a change concerns.

A fragment is rendered by the same template and context as in the page. Topics are
`services:<cluster>`, `service:<cluster>:<id>`, `cluster:<cluster>`, `freshness:<cluster>`,
`overview`, `timeline:<cluster>`, `operations`, `operation:<id>`, `objects:<noun>:<cluster>`,
`object:<noun>:<cluster>:<id>` (of secrets and configs), `tray` and `alarms`; the apps above add
theirs.
"""

import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html

from access import alarms
from access.authorize import one_look
from access.models import User
from clusters import contexts, glance
from clusters.contexts import Context
from clusters.models import MODELS, Cluster, Service
from clusters.ports import Noun
from clusters.problems import NotFound
from clusters.selectors.clusters import cluster_seen_by, clusters_seen_by, freshness
from clusters.selectors.nodes import nodes_of
from clusters.selectors.objects import object_seen_by
from clusters.selectors.operations import operation_seen_by, operations_seen_by
from clusters.selectors.services import service_seen_by, services_seen_by, without_specs
from clusters.selectors.tasks import task_matrix
from clusters.timeline.entries import KINDS, Question, entries
from live.changes import Touched
from live.viewers import Fragments

NOUNS: dict[str, Noun] = {"secret": "secret", "config": "config"}
OF_EMERGENCIES = ("alarms", "emergencies", "emergency")  # topics that show when one runs out
JUST_NOW = timedelta(minutes=5)  # as long as a repeated event is counted and not told anew
OWN_KINDS = frozenset(KINDS) - {"alert"}  # alerts are pushed by who tells of them
MOST_TOLD = 20  # entries of one push: a page that lacks one reads all of them anew
_AT_A_GLANCE = ("service", "operation", "cluster", "node", "reset")
Changes = list[Touched] | None  # None: whatever the topic shows may have changed


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of an app above this one. Each function is given what stands after its name.

    `state` is asked twice a second while somebody looks: when it is another one, the topic is
    rendered anew.
    """

    render: Callable[[User, str, Changes], Fragments]
    is_there: Callable[[str], bool]
    state: Callable[[str], Hashable]


_ABOVE: dict[str, Topic] = {}


def add(name: str, topic: Topic) -> None:
    """Told by the app that it belongs to, at its start."""
    _ABOVE[name] = topic


def render(user: User, topic: str, touched: Changes) -> Fragments:
    """The topic's fragments that these changes concern; none if the user may not see them."""
    name, _, argument = topic.partition(":")
    rendering = _ABOVE[name].render if name in _ABOVE else _TOPICS.get(name)
    if rendering is None:
        return {}
    try:
        with one_look():
            return rendering(user, argument, touched)
    except NotFound:
        return {}


def is_topic(topic: str) -> bool:
    """Whether there is such a topic; what of it a user sees is decided at each rendering."""
    name, _, argument = topic.partition(":")
    if name == "operation":
        return re.fullmatch(r"[0-9a-f-]{36}", argument) is not None
    return _ABOVE[name].is_there(argument) if name in _ABOVE else name in _TOPICS


def clock(topics: Iterable[str]) -> dict[str, Hashable]:
    """The state of each topic that also changes by the mere passing of time."""
    asked = set(topics)
    names = {topic.partition(":")[2]: topic for topic in asked if topic.startswith("freshness:")}
    everywhere = "overview" in asked
    found = Cluster.objects.all() if everywhere else Cluster.objects.filter(name__in=names)
    ages = {cluster.name: freshness(cluster) for cluster in found}
    now = {name: (age.fresh, age.reason) for name, age in ages.items()}
    states: dict[str, Hashable] = {names[name]: now[name] for name in names.keys() & now.keys()}
    if everywhere:
        states["overview"] = frozenset(now.items())
    running = [topic for topic in asked if topic.partition(":")[0] in OF_EMERGENCIES]
    if running:
        states |= dict.fromkeys(running, alarms.running_now())
    for topic in asked:
        name, _, argument = topic.partition(":")
        if name in _ABOVE:
            states[topic] = _ABOVE[name].state(argument)
    return states


def _html(name: str, context: Context) -> str:
    return render_to_string(f"clusters/_{name}.html", context)


def _gone(tag: str, element: str) -> str:
    """`element` holds an engine's id, and an engine may call things as it likes."""
    return format_html('<{0} id="{1}" data-live-remove></{0}>', tag, element)


def _of(touched: Changes, cluster: str, *nouns: str) -> list[Touched] | None:
    """The changes of a cluster that are of these kinds; None if anything may have changed."""
    if touched is None or any(t.noun == "reset" and t.cluster == cluster for t in touched):
        return None
    return [t for t in touched if t.cluster == cluster and t.noun in nouns]


# --- Topics --------------------------------------------------------------------------------------


def _services(user: User, name: str, touched: Changes) -> Fragments:
    found = _of(touched, name, "service", "operation")
    if found == []:
        return {}
    cluster = cluster_seen_by(user, name)
    fragments = {"service-totals": _html("service_totals", contexts.service_totals(user, cluster))}
    if found is None:
        return fragments
    ids = {t.key for t in found if t.noun == "service"}
    rows = services_seen_by(user, cluster).filter(engine_id__in=ids)
    for context in contexts.service_rows(user, list(without_specs(rows))):
        key = context["service"].engine_id
        ids.discard(key)
        fragments[f"service-{key}"] = _html("service_row", context)
    for key in ids - _there(cluster.services, ids):
        fragments[f"service-{key}"] = _gone("tr", f"service-{key}")
    return fragments


def _hidden(user: User, cluster: str) -> bool:
    """Whether there is such a cluster, and the user may not know of it."""
    seen = clusters_seen_by(user).filter(name=cluster).exists()
    return not seen and Cluster.objects.filter(name=cluster).exists()


def _there(rows: Any, ids: set[str]) -> set[str]:
    """Those that exist, whoever may see them: to who may not, nothing tells that they changed."""
    return set(rows.filter(engine_id__in=ids).values_list("engine_id", flat=True))


def _service(user: User, argument: str, touched: Changes) -> Fragments:
    name, _, service_id = argument.partition(":")
    found = _of(touched, name, "service", "slots", "slot", "operation", "node", "cluster")
    if found is not None:
        found = [
            t for t in found if t.noun in ("node", "cluster") or service_id in (t.key, t.parent)
        ]
        if not found:
            return {}
    try:
        service = service_seen_by(user, cluster_seen_by(user, name), service_id)
    except NotFound:
        if _hidden(user, name) or _there(Service.objects.filter(cluster__name=name), {service_id}):
            return {}
        return {"service-gone": _html("service_gone", {"gone": True})}
    nouns = {t.noun for t in found} if found is not None else {"service", "slots", "operation"}
    slots = {t.key for t in found or () if t.noun == "slot"}
    return {**_service_parts(user, service, nouns), **_slots(service, nouns, slots)}


def _service_parts(user: User, service: Service, nouns: set[str]) -> Fragments:
    fragments = {}
    if nouns - {"slot"}:
        fragments["service-head"] = _html("service_head", contexts.service_head(user, service))
    if nouns & {"operation"}:
        operations = contexts.service_operations(user, service)
        fragments["service-operations"] = _html("service_operations", operations)
    if nouns & {"slots"}:
        fragments["revisions"] = _html("revisions", contexts.revisions(user, service))
    return fragments


def _slots(service: Service, nouns: set[str], keys: set[str]) -> Fragments:
    """The whole matrix and list, or the slots that moved alone, however many there are."""
    if nouns & {"slots", "node"}:
        tasks = contexts.tasks(service)
        return {"task-matrix": _html("task_matrix", tasks), "task-list": _html("task_list", tasks)}
    if not keys:
        return {}
    fragments = {"task-legend": _html("task_legend", contexts.task_legend(service))}
    for slot in task_matrix(service, keys):
        keys.discard(slot.key)
        context = {"service": service, "slot": slot}
        cell = f"slot-{slot.key}"
        fragments[cell] = _gone("li", cell) if slot.gone else _html("task_slot", context)
        fragments[f"rows-{slot.key}"] = _html("task_rows", context)
    for key in keys:
        fragments[f"slot-{key}"] = _gone("li", f"slot-{key}")
        fragments[f"rows-{key}"] = _gone("tbody", f"rows-{key}")
    return fragments


def _cluster(user: User, name: str, touched: Changes) -> Fragments:
    found = _of(touched, name, "cluster", "node", "service", "operation")
    if found == []:
        return {}
    cluster = cluster_seen_by(user, name)
    fragments = {"cluster-head": _html("cluster_head", contexts.cluster_head(user, cluster))}
    moved = {t.key for t in found or () if t.noun == "node"}
    if moved:
        for node in nodes_of(cluster):
            if node.engine_id in moved:
                moved.discard(node.engine_id)
                fragments[f"node-{node.engine_id}"] = _html(
                    "node_row", contexts.node_row(cluster, node)
                )
        fragments |= {f"node-{key}": _gone("tr", f"node-{key}") for key in moved}
    return fragments


def _freshness(user: User, name: str, touched: Changes) -> Fragments:
    if _of(touched, name, "cluster") == []:
        return {}
    try:
        context = contexts.freshness(cluster_seen_by(user, name))
    except NotFound:
        if _hidden(user, name):
            return {}  # who lost the right to see it is told by the end of their socket
        return {f"freshness-{name}": _html("freshness_gone", {"name": name})}
    return {f"freshness-{name}": _html("freshness", context)}


def _overview(user: User, _: str, touched: Changes) -> Fragments:
    """The verdict, the line of each cluster concerned, and the card of each stack concerned."""
    moved = [t for t in touched or () if t.noun in _AT_A_GLANCE]
    if touched is not None and not moved:
        return {}
    whole = {t.cluster for t in moved if t.noun in ("cluster", "node", "reset")}
    stacks = {(t.cluster, t.stack) for t in moved if t.noun in ("service", "operation")}
    clusters = glance.look(user, None if touched is None or whole else stacks)
    fragments = {"verdict": _html("verdict", {"verdict": glance.verdict(clusters)})}
    named = {t.cluster for t in moved}
    for found in clusters:
        name = found.cluster.name
        if touched is not None and name not in named:
            continue
        fragments[f"cluster-{name}"] = _html("cluster_line", {"glance": found})
        for stack in found.stacks:
            if touched is None or name in whole or stack.key in stacks:
                fragments[stack.element] = _html("stack_card", {"stack": stack})
    return fragments | _gone_from_overview(user, named, stacks, fragments.keys())


def _gone_from_overview(
    user: User, clusters: set[str], stacks: set[tuple[str, str]], shown: Iterable[str]
) -> Fragments:
    """Clusters and stacks that are no more, to those who saw them."""
    there, fragments = set(shown), {}
    for name in clusters:
        if f"cluster-{name}" not in there and glance.would_see(user, name):
            fragments[f"glance-{name}"] = _gone("section", f"glance-{name}")
    for name, stack in stacks:
        element = glance.element_of(name, stack)
        if element not in there and glance.would_see(user, name, stack):
            fragments[element] = _gone("article", element)
    return fragments


def _timeline(user: User, name: str, touched: Changes) -> Fragments:
    """What happened just now; a page takes in what it asks for."""
    found = _of(touched, name, "event", "operation")
    if not found:
        return {}
    cluster, now = cluster_seen_by(user, name), timezone.now()
    question = Question(user, cluster, now - JUST_NOW, now, OWN_KINDS)
    keys = {t.key for t in found} | {t.parent for t in found}
    told = [e for e in entries(question) if e.key in keys]
    return {e.id: _html("timeline_entry", {"entry": e}) for e in told[:MOST_TOLD]}


def _operation_ids(touched: Changes) -> set[str]:
    return {t.key for t in touched or () if t.noun == "operation"}


def _operations(user: User, _: str, touched: Changes) -> Fragments:
    found = operations_seen_by(user).filter(pk__in=_operation_ids(touched))
    rows = contexts.operation_rows(user, list(found))
    return {f"operation-{row['operation'].pk}": _html("operation_row", row) for row in rows}


def _operation(user: User, operation_id: str, touched: Changes) -> Fragments:
    if touched is not None and operation_id not in _operation_ids(touched):
        return {}
    operation = operation_seen_by(user, UUID(operation_id))
    return {"operation": _html("operation", contexts.operation(user, operation))}


def _tray(user: User, _: str, touched: Changes) -> Fragments:
    if touched is not None and not _operation_ids(touched):
        return {}
    return {"tray": _html("tray", contexts.tray(user))}


def _alarms(user: User, _: str, touched: Changes) -> Fragments:
    if touched is not None and not any(t.noun in ("alarm", "reset") for t in touched):
        return {}
    return {"alarms": render_to_string("access/_alarms.html", alarms.alarms(user))}


def _emergency_ids(touched: list[Touched]) -> set[str]:
    return {t.key for t in touched if t.noun == "alarm" and t.key.isdecimal()}


def _emergencies(user: User, _: str, touched: Changes) -> Fragments:
    rows = alarms.emergency_rows(user, None if touched is None else _emergency_ids(touched))
    return {
        f"emergency-{row['glass'].pk}": render_to_string("access/_emergency_row.html", row)
        for row in rows
    }


def _emergency(user: User, argument: str, touched: Changes) -> Fragments:
    if not argument.isdecimal() or (
        touched is not None and argument not in _emergency_ids(touched)
    ):
        return {}
    context = alarms.emergency_now(user, int(argument))
    return {"emergency": render_to_string("access/_emergency.html", context)} if context else {}


def _objects(user: User, argument: str, touched: Changes) -> Fragments:
    kind, _, name = argument.partition(":")
    noun = NOUNS.get(kind)
    if noun is None:
        return {}
    found = _of(touched, name, noun, "operation", "kept")
    if found == []:
        return {}
    cluster = cluster_seen_by(user, name)
    ids = {
        t.parent.removeprefix(f"{noun}:") if t.noun == "operation" else t.key for t in found or ()
    }
    fragments = {}
    for row in contexts.object_rows(user, cluster, noun):
        key = row["object"].engine_id
        if found is None or key in ids:
            fragments[f"object-{key}"] = _html("object_row", row)
    gone = {t.key for t in found or () if t.noun == noun and f"object-{t.key}" not in fragments}
    gone -= _there(MODELS[noun].objects.filter(cluster=cluster), gone)
    fragments |= {f"object-{key}": _gone("tr", f"object-{key}") for key in gone}
    if noun == "secret":
        fragments["kept"] = _html("kept", contexts.kept(user, cluster))
    return fragments


def _object(user: User, argument: str, touched: Changes) -> Fragments:
    """One secret or config, with its consumers and its family."""
    kind, name, object_id = (*argument.split(":"), "", "")[:3]
    noun = NOUNS.get(kind)
    if noun is None:
        return {}
    found = _of(touched, name, noun, "operation", "service")
    if found == []:
        return {}
    cluster = cluster_seen_by(user, name)
    try:
        shown = object_seen_by(user, cluster, noun, object_id)
    except NotFound:
        if _there(MODELS[noun].objects.filter(cluster=cluster), {object_id}):
            return {}
        context = contexts.object_gone(user, cluster, noun, object_id)
        return {"object": _html("object_gone", context)}
    context = contexts.object_details(user, shown)
    services = {consumer["service"].engine_id for consumer in context["consumers"]}
    target = f"{noun}:{object_id}"
    if found is not None and not any(
        t.noun == noun or t.parent == target or t.key in services for t in found
    ):
        return {}
    return {"object": _html("object", context)}


_TOPICS: dict[str, Callable[[User, str, Changes], Fragments]] = {
    "services": _services,
    "service": _service,
    "cluster": _cluster,
    "freshness": _freshness,
    "overview": _overview,
    "operations": _operations,
    "operation": _operation,
    "tray": _tray,
    "alarms": _alarms,
    "emergencies": _emergencies,
    "emergency": _emergency,
    "timeline": _timeline,
    "objects": _objects,
    "object": _object,
}
