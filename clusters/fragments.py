"""The live push: for each topic that a page shows, the fragments that a change concerns.

A fragment is rendered by the same template and context as in the page. Topics are
`services:<cluster>`, `service:<cluster>:<id>`, `cluster:<cluster>`, `freshness:<cluster>`,
`overview`, `operations`, `operation:<id>`, `objects:<noun>:<cluster>`,
`object:<noun>:<cluster>:<id>` (of secrets and configs), `tray` and `alarms`; the apps above add
theirs.
"""

import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.template.loader import render_to_string

from access import alarms
from access.models import User
from clusters import contexts, selectors
from clusters.contexts import Context
from clusters.models import MODELS, Cluster, Service
from clusters.ports import Noun
from clusters.problems import NotFound
from live.changes import Touched
from live.hub import Fragments

NOUNS: dict[str, Noun] = {"secret": "secret", "config": "config"}
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
    found = Cluster.objects.filter(name__in=names)
    ages = ((cluster, selectors.freshness(cluster)) for cluster in found)
    states: dict[str, Hashable] = {
        names[cluster.name]: (age.fresh, age.reason) for cluster, age in ages
    }
    if "alarms" in asked:
        states["alarms"] = alarms.running_now()
    for topic in asked:
        name, _, argument = topic.partition(":")
        if name in _ABOVE:
            states[topic] = _ABOVE[name].state(argument)
    return states


def _html(name: str, context: Context) -> str:
    return render_to_string(f"clusters/_{name}.html", context)


def _gone(tag: str, element: str) -> str:
    return f'<{tag} id="{element}" data-live-remove></{tag}>'


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
    cluster = selectors.cluster_seen_by(user, name)
    fragments = {"service-totals": _html("service_totals", contexts.service_totals(user, cluster))}
    if found is None:
        return fragments
    ids = {t.key for t in found if t.noun == "service"}
    rows = selectors.services_seen_by(user, cluster).filter(engine_id__in=ids)
    for context in contexts.service_rows(user, list(selectors.without_specs(rows))):
        key = context["service"].engine_id
        ids.discard(key)
        fragments[f"service-{key}"] = _html("service_row", context)
    for key in ids - _there(cluster.services, ids):
        fragments[f"service-{key}"] = _gone("tr", f"service-{key}")
    return fragments


def _hidden(user: User, cluster: str) -> bool:
    """Whether there is such a cluster, and the user may not know of it."""
    seen = selectors.clusters_seen_by(user).filter(name=cluster).exists()
    return not seen and Cluster.objects.filter(name=cluster).exists()


def _there(rows: Any, ids: set[str]) -> set[str]:
    """Those that exist, whoever may see them: to who may not, nothing tells that they changed."""
    return set(rows.filter(engine_id__in=ids).values_list("engine_id", flat=True))


def _service(user: User, argument: str, touched: Changes) -> Fragments:
    name, _, service_id = argument.partition(":")
    found = _of(touched, name, "service", "task", "operation", "node", "cluster")
    if found is not None:
        found = [
            t for t in found if t.noun in ("node", "cluster") or service_id in (t.key, t.parent)
        ]
        if not found:
            return {}
    try:
        service = selectors.service_seen_by(user, selectors.cluster_seen_by(user, name), service_id)
    except NotFound:
        if _hidden(user, name) or _there(Service.objects.filter(cluster__name=name), {service_id}):
            return {}
        return {"service-gone": _html("service_gone", {"gone": True})}
    nouns = {t.noun for t in found} if found is not None else {"service", "task", "operation"}
    return _service_parts(user, service, nouns)


def _service_parts(user: User, service: Service, nouns: set[str]) -> Fragments:
    parts = {"service-head": ("service_head", contexts.service_head(user, service))}
    if nouns & {"task", "service", "node"}:
        tasks = contexts.task_matrix(service)
        parts["task-matrix"] = ("task_matrix", tasks)
        parts["task-list"] = ("task_list", tasks)
    if nouns & {"operation"}:
        parts["service-operations"] = (
            "service_operations",
            contexts.service_operations(user, service),
        )
    if nouns & {"service"}:
        parts["revisions"] = ("revisions", contexts.revisions(user, service))
    return {element: _html(template, context) for element, (template, context) in parts.items()}


def _cluster(user: User, name: str, touched: Changes) -> Fragments:
    found = _of(touched, name, "cluster", "node", "service", "operation")
    if found == []:
        return {}
    cluster = selectors.cluster_seen_by(user, name)
    fragments = {"cluster-head": _html("cluster_head", contexts.cluster_head(user, cluster))}
    moved = {t.key for t in found or () if t.noun == "node"}
    if moved:
        for node in selectors.nodes_of(cluster):
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
        context = contexts.freshness(selectors.cluster_seen_by(user, name))
    except NotFound:
        if _hidden(user, name):
            return {}  # who lost the right to see it is told by the end of their socket
        return {f"freshness-{name}": _html("freshness_gone", {"name": name})}
    return {f"freshness-{name}": _html("freshness", context)}


def _overview(user: User, _: str, touched: Changes) -> Fragments:
    names = {t.cluster for t in touched if t.noun != "task"} if touched is not None else None
    fragments = {}
    for cluster in selectors.clusters_seen_by(user):
        if names is None or cluster.name in names:
            card = _html("cluster_card", contexts.cluster_card(user, cluster))
            fragments[f"cluster-{cluster.name}"] = card
    return fragments


def _operation_ids(touched: Changes) -> set[str]:
    return {t.key for t in touched or () if t.noun == "operation"}


def _operations(user: User, _: str, touched: Changes) -> Fragments:
    found = selectors.operations_seen_by(user).filter(pk__in=_operation_ids(touched))
    rows = contexts.operation_rows(user, list(found))
    return {f"operation-{row['operation'].pk}": _html("operation_row", row) for row in rows}


def _operation(user: User, operation_id: str, touched: Changes) -> Fragments:
    if touched is not None and operation_id not in _operation_ids(touched):
        return {}
    operation = selectors.operation_seen_by(user, UUID(operation_id))
    return {"operation": _html("operation", contexts.operation(user, operation))}


def _tray(user: User, _: str, touched: Changes) -> Fragments:
    if touched is not None and not _operation_ids(touched):
        return {}
    return {"tray": _html("tray", contexts.tray(user))}


def _alarms(user: User, _: str, touched: Changes) -> Fragments:
    if touched is not None and not any(t.noun in ("alarm", "reset") for t in touched):
        return {}
    return {"alarms": render_to_string("access/_alarms.html", alarms.alarms(user))}


def _objects(user: User, argument: str, touched: Changes) -> Fragments:
    kind, _, name = argument.partition(":")
    noun = NOUNS.get(kind)
    if noun is None:
        return {}
    found = _of(touched, name, noun, "operation", "kept")
    if found == []:
        return {}
    cluster = selectors.cluster_seen_by(user, name)
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
    cluster = selectors.cluster_seen_by(user, name)
    try:
        shown = selectors.object_seen_by(user, cluster, noun, object_id)
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
    "objects": _objects,
    "object": _object,
}
