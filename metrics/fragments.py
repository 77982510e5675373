"""The live push of metrics, by way of the page's own socket.

Topics are `metrics:<cluster>:<service>:<range>`, `panels:<cluster>:<stack>:<range>` (saved ones; no
stack: the cluster's), `alerts:<cluster>:<range>`, `sparklines:<cluster>` and `source:<cluster>`.
The hub asks for their state, which tells the poller that somebody looks; nothing here asks a
source.
"""

import json
from collections.abc import Callable, Hashable

from django.template.loader import render_to_string

from access.authorize import may
from access.models import User
from access.policy import Action
from clusters import fragments
from clusters.fragments import Changes, Topic
from clusters.selectors.clusters import cluster_seen_by
from clusters.selectors.services import service_seen_by
from live.changes import Touched
from live.viewers import Fragments
from metrics import contexts, timeline
from metrics.marks import marks_of
from metrics.pictures import Subject, as_json
from metrics.poller import POLLER
from metrics.selectors import panels_seen_in
from metrics.windows import is_range

TAIL = 24  # points of each series that are pushed: who has missed more reads all of them
LONGEST = 400  # characters of a topic


def announce() -> None:
    fragments.add("metrics", Topic(_service, _is_charted, lambda a: POLLER.state(_subject(a))))
    fragments.add("panels", Topic(_panels, _is_charted, lambda a: POLLER.state(_saved(a))))
    fragments.add("alerts", Topic(_alerts, _is_of_alerts, lambda a: POLLER.state(_fired(a))))
    fragments.add("sparklines", Topic(_sparklines, _is_cluster, _state_of("sparklines")))
    fragments.add("source", Topic(_source, _is_cluster, _state_of("source")))


def _state_of(kind: str) -> Callable[[str], Hashable]:
    return lambda cluster: POLLER.state(Subject(kind, cluster))


def _subject(argument: str) -> Subject:
    cluster, service, span = argument.split(":")
    return Subject("service", cluster, service, span)


def _is_charted(argument: str) -> bool:
    parts = argument.split(":")
    return len(parts) == 3 and is_range(parts[2]) and len(argument) < LONGEST


def _is_cluster(argument: str) -> bool:
    return 0 < len(argument) <= 64


def _service(user: User, argument: str, touched: Changes) -> Fragments:
    """The newest points, and all that happened: the page's script puts them to what it has."""
    subject = _subject(argument)
    if touched is not None and not _of_operations(subject.cluster, touched):
        return {}
    cluster = cluster_seen_by(user, subject.cluster)
    service = service_seen_by(user, cluster, subject.service)
    picture = POLLER.look(subject)
    marks = marks_of(user, service, picture.window if picture else None)
    news = json.dumps(as_json(picture, marks, tail=TAIL), separators=(",", ":"))
    return {"metrics-news": render_to_string("metrics/_news.html", {"news": news})}


def _of_operations(cluster: str, touched: list[Touched]) -> bool:
    return any(t.cluster == cluster and t.noun in ("operation", "reset") for t in touched)


def _saved(argument: str) -> Subject:
    cluster, stack, span = argument.split(":")
    return Subject("panels", cluster, range=span, stack=stack)


def _panels(user: User, argument: str, touched: Changes) -> Fragments:
    """The newest points of a stack's saved panels, or of the cluster's own."""
    if touched is not None:
        return {}
    subject = _saved(argument)
    cluster = cluster_seen_by(user, subject.cluster)
    panels_seen_in(user, cluster, subject.stack)
    news = json.dumps(as_json(POLLER.look(subject), tail=TAIL), separators=(",", ":"))
    return {"metrics-news": render_to_string("metrics/_news.html", {"news": news})}


def _is_of_alerts(argument: str) -> bool:
    cluster, _, span = argument.partition(":")
    return _is_cluster(cluster) and span in timeline.SPANS


def _fired(argument: str) -> Subject:
    cluster, span = argument.split(":")
    return Subject("alerts", cluster, range=span)


def _alerts(user: User, argument: str, touched: Changes) -> Fragments:
    """That they are others: a timeline that does not show them yet is read anew."""
    if touched is not None:
        return {}
    name, span = argument.split(":")
    told = timeline.news(user, cluster_seen_by(user, name), span).news
    return {told: render_to_string("metrics/_timeline_news.html", {"news": told})}


def _sparklines(user: User, name: str, touched: Changes) -> Fragments:
    """That there are new ones: each page reads those of its own services."""
    if touched is not None:
        return {}
    cluster = cluster_seen_by(user, name)
    return {
        "sparklines": render_to_string("metrics/_sparklines.html", contexts.sparklines(cluster))
    }


def _source(user: User, name: str, touched: Changes) -> Fragments:
    if touched is not None:
        return {}
    cluster = cluster_seen_by(user, name)
    if not may(user, Action.CLUSTER_REGISTER, cluster.scope):
        return {}
    return {
        "source-state": render_to_string("metrics/_source_state.html", contexts.source(cluster))
    }
