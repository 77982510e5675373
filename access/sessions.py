"""The sessions of a person: which there are, and how they end. Ending one silences its sockets."""

from collections.abc import Iterable
from datetime import timedelta

from allauth.usersessions.models import UserSession
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpRequest

from access.models import User
from live.hub import announce_revoked

SEEN_EVERY = timedelta(minutes=1)  # how exactly “last seen” is kept


def sessions_of(request: HttpRequest) -> list[UserSession]:
    """The sessions of whoever asks, the newest sign of life first; their own is always there."""
    UserSession.objects.create_from_request(request)
    found: list[UserSession] = UserSession.objects.purge_and_list(request.user)
    return sorted(found, key=lambda session: session.last_seen_at, reverse=True)


def note_seen(request: HttpRequest) -> None:
    """Note that the session's person is there, at the price of one index look-up a page."""
    if key := request.session.session_key:
        stale = UserSession.objects.filter(session_key=key, last_seen_at__lt=Now() - SEEN_EVERY)
        stale.update(last_seen_at=Now())


def end_sessions(user: User, *, keep: str | None = None) -> int:
    """End all sessions of `user` except `keep`; returns how many there were.

    Also those that no list knows of: every session that is alive is looked into.
    """
    living = Session.objects.filter(expire_date__gt=Now()).exclude(session_key=keep)
    theirs = [s.session_key for s in living if s.get_decoded().get(SESSION_KEY) == str(user.pk)]
    with transaction.atomic():
        UserSession.objects.filter(user=user).exclude(session_key=keep).delete()
        _end(user, theirs)
    return len(theirs)


def end_session(session: UserSession) -> None:
    with transaction.atomic():
        _end(session.user, [session.session_key])
        session.delete()


def _end(user: User, keys: Iterable[str]) -> None:
    Session.objects.filter(session_key__in=keys).delete()
    announce_revoked(user.pk)
