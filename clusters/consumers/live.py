"""The live path's last step: a viewer's socket."""

import asyncio
from collections.abc import Hashable
from functools import lru_cache
from urllib.parse import parse_qs

from asgiref.sync import sync_to_async
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.sessions.models import Session
from django.db.models.functions import Now

from access.authorize import grants_of, held_by_many, within_token
from access.declared import SIGNED_IN, needs
from access.models import ApiToken, User
from access.policy import Held
from access.requests import SignedOut, actor_of_scope
from access.tokens import live_tokens
from clusters import fragments
from live.hub import Hooks, Hub
from live.viewers import Viewer

SIGNED_OUT, CHANGED = 4401, 4403  # close codes: sign in again; reload with the new rights
MOST_TOPICS = 20


def rights_of(grants: list[Held]) -> Hashable:
    """The permission class: whoever holds the same rights sees the same fragments."""
    return _one_of_all(frozenset(grants))


@lru_cache(maxsize=1000)
def _one_of_all(rights: Hashable) -> Hashable:
    """Of equal rights the same object, for they are compared at each delivery to each viewer."""
    return rights


def ended(viewers: list[Viewer]) -> dict[Viewer, int]:
    """Whose session, token or account has ended, and whose rights are others than at first."""
    users = {viewer.user.pk for viewer in viewers}
    active = set(User.objects.filter(pk__in=users, is_active=True).values_list("pk", flat=True))
    sessions, tokens = _sessions(viewers), _tokens(viewers)
    held = held_by_many(users)
    rights: dict[tuple[int, int | None], Hashable] = {
        (user, None): rights_of(mine) for user, mine in held.items()
    }
    for key, of in tokens.items():
        rights[of.user_id, key] = rights_of(within_token(held[of.user_id], of))
    codes = {}
    for viewer in viewers:
        user, came_with = viewer.user.pk, viewer.user.token
        token = tokens.get(came_with.pk) if came_with else None
        if user not in active or not (token or viewer.session in sessions):
            codes[viewer] = SIGNED_OUT
        elif rights[user, token.pk if token else None] != viewer.rights:
            codes[viewer] = CHANGED
    return codes


def _sessions(viewers: list[Viewer]) -> set[str]:
    """The sessions that last, of the viewers' browsers."""
    keys = {viewer.session for viewer in viewers if not viewer.user.token}
    live = Session.objects.filter(session_key__in=keys, expire_date__gt=Now())
    return set(live.values_list("session_key", flat=True))


def _tokens(viewers: list[Viewer]) -> dict[int, ApiToken]:
    """The tokens that last, as they are now, of the viewers that are programs."""
    return live_tokens().in_bulk({v.user.token.pk for v in viewers if v.user.token})


_hubs: dict[int, Hub] = {}  # by event loop: a server has one, tests have several


def hub() -> Hub:
    key = id(asyncio.get_running_loop())
    if key not in _hubs:
        _hubs.clear()
        _hubs[key] = Hub(Hooks(render=fragments.render, rights=ended, clock=fragments.clock))
    return _hubs[key]


@needs(SIGNED_IN)
class LiveConsumer(AsyncWebsocketConsumer):
    """`/live/?since=<sequence>&topics=<topic>&topics=…`: frames of fragments, see live.hub.

    For a page with its session, or a program with a token. Shows only what they may see, and closes
    within a second when that changes: 4401 when they are no longer signed in, or the token has
    ended, 4403 when their rights are others.
    """

    viewer: Viewer | None = None
    sending: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        try:
            user = actor_of_scope(self.scope).user
        except SignedOut:
            await self.accept()  # a browser learns the code of an accepted socket alone
            await self.close(SIGNED_OUT)
            return
        query = parse_qs(self.scope["query_string"].decode(errors="replace"))
        asked = filter(fragments.is_topic, query.get("topics", [])[:MOST_TOPICS])
        since = query.get("since", ["0"])[0]
        self.viewer = Viewer(
            user=user,
            rights=rights_of(await sync_to_async(grants_of)(user)),
            topics=tuple(dict.fromkeys(asked)),
            session="" if user.token else self.scope["session"].session_key or "",
            sequence=int(since) if since.isdecimal() and len(since) < 19 else 0,
        )
        await self.accept()
        hub().join(self.viewer)
        self.sending = asyncio.create_task(self._send(self.viewer))

    async def _send(self, viewer: Viewer) -> None:
        """Send what is pending whenever there is something, or a sign of life is due."""
        while not viewer.closing:
            await self.send(text_data=viewer.frame())
            await viewer.wake.wait()
            viewer.wake.clear()
        await self.close(code=viewer.closing)

    async def disconnect(self, code: int) -> None:
        if self.viewer:
            hub().leave(self.viewer)
        if self.sending:
            self.sending.cancel()
        raise StopConsumer
