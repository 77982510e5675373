"""Alerts on a cluster's timeline: what the poller's picture holds, as far as the user may see it.

Only a program waits for a source: what is not known yet, or cannot be, is told in words.
"""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

from django.urls import reverse
from django.utils import timezone

from access.authorize import visible_scopes
from access.models import User
from access.policy import Scope
from clusters.models import Cluster
from clusters.templatetags.moments import clock
from clusters.timeline.entries import Beside, Entry, Question, add_source
from metrics.alerts import NOBODY, Fired
from metrics.pictures import Picture, Subject
from metrics.poller import POLLER
from metrics.sources import source_of
from metrics.windows import MINUTE, RANGES, moment

SPANS = ("1h", "6h", "24h", "7d", "30d")  # of RANGES: what is drawn of alerts


def announce() -> None:
    add_source(tell, "alert", there=has_source, beside=beside)


def has_source(cluster: Cluster) -> bool:
    return source_of(cluster) is not None


def tell(question: Question) -> Iterator[Entry]:
    picture = _picture(question.cluster, _span(question), question.patience)
    for one in _seen_by(question.user, question.cluster, picture):
        if question.service is not None:
            asked = one.service.name == question.service.name
        else:
            in_stack = one.service != NOBODY and one.service.stack == question.stack
            asked = question.stack is None or in_stack
        ended = one.until is not None and moment(one.until) < question.since
        if asked and not ended and moment(one.since) <= question.until:
            yield _entry(question.cluster, one)


def beside(question: Question) -> Beside:
    return news(question.user, question.cluster, _span(question), question.patience)


def news(user: User, cluster: Cluster, span: str, patience: float = 0.0) -> Beside:
    """What the user's pages of this span show; `news` is another one once that has changed."""
    picture = _picture(cluster, span, patience)
    told = _lack(picture)
    shown = [(one.id, one.until) for one in _seen_by(user, cluster, picture)]
    digest = sha256(repr((shown, told.lacks)).encode()).hexdigest()[:16]
    return replace(told, topic=f"alerts:{cluster.name}:{span}", news=f"alerts-{digest}")


def _picture(cluster: Cluster, span: str, patience: float) -> Picture | None:
    subject = Subject("alerts", cluster.name, range=span)
    return POLLER.wait(subject, patience) if patience else POLLER.look(subject)


def _span(question: Question) -> str:
    """The shortest that reaches back to what is asked for."""
    length = (timezone.now() - question.since).total_seconds() - MINUTE
    return next((span for span in SPANS if RANGES[span] >= length), SPANS[-1])


def _seen_by(user: User, cluster: Cluster, picture: Picture | None) -> list[Fired]:
    """An alert of a service is seen with its stack, any other by who sees the whole cluster."""
    scopes = visible_scopes(user)
    found = picture.fired if picture else ()
    places = {one.service.stack for one in found}
    seen = {p for p in places if any(scope.holds(Scope(cluster.name, p)) for scope in scopes)}
    return [one for one in found if one.service.stack in seen]


def _lack(picture: Picture | None) -> Beside:
    if picture is None:
        return Beside("Asking Prometheus for alerts…", soon=True)
    if picture.state == "away":
        since = f" since {clock(picture.since)}" if picture.since else ""
        return Beside(f"Alerts unavailable{since}: {picture.reason}")
    return Beside(f"Alerts cannot be read: {picture.reason}" if picture.reason else "")


def _entry(cluster: Cluster, one: Fired) -> Entry:
    of_service = one.service != NOBODY
    address = [cluster.name, one.service.name] if of_service else [cluster.name]
    text = f"{one.title}: {one.details}" if one.details else one.title
    return Entry(
        id=one.id,
        kind="alert",
        at=moment(one.since),
        until=None if one.until is None else moment(one.until),
        open=one.until is None,
        name=one.service.name or cluster.name,
        look="alert",
        state="firing" if one.until is None else "resolved",
        text=f"{text}, begun earlier" if one.before else text,
        link=reverse("clusters:service" if of_service else "clusters:cluster", args=address),
        stack=one.service.stack,
    )
