"""One open socket, and what it has yet to be sent: the newest of each element, never a queue."""

import asyncio
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from telemetry import series

Fragments = dict[str, str]  # an element's id → its HTML
Kind = tuple[Hashable, tuple[str, ...]]  # rights and topics: all of one kind are shown the same


class Batch:
    """Fragments that many viewers are handed at once: the text of their frame is made once."""

    def __init__(self, fragments: Mapping[str, str]) -> None:
        self.fragments = fragments
        self._sequence, self._text = -1, ""

    def with_newer(self, batch: "Batch") -> "Batch":
        """Both, the newer of each element, which comes last."""
        newer = batch.fragments
        older = {key: html for key, html in self.fragments.items() if key not in newer}
        return Batch({**older, **newer})

    def text(self, sequence: int) -> str:
        if sequence != self._sequence:
            self._sequence, self._text = sequence, _frame({"sequence": sequence}, self.fragments)
        return self._text


NOTHING = Batch({})


@dataclass(eq=False)
class Viewer:
    """Whose socket it is, and what it shows."""

    user: Any
    rights: Hashable  # the permission class: viewers of one class see the same fragments
    topics: tuple[str, ...]  # what the page is about first
    session: str = ""
    sequence: int = 0
    closing: int = 0  # a WebSocket close code, once the viewer must go
    reload: bool = False
    behind: bool = False  # the bus or the database is away: what is shown may be old
    caught_up: bool = False  # has what came between its page and its socket
    in_time: bool = False  # the same of what changes without a numbered change
    joined: int = 0  # the sequence at which it had that
    spoken_to: bool = False  # since the last beat
    pending: Batch = NOTHING
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def kind(self) -> Kind:
        return self.rights, self.topics

    @property
    def person(self) -> Any:
        return getattr(self.user, "pk", None)

    def put(self, batch: Batch) -> None:
        if not batch.fragments:
            return
        if self.pending.fragments:
            series.COALESCED.inc(len(self.pending.fragments.keys() & batch.fragments.keys()))
            batch = self.pending.with_newer(batch)
        self.pending = batch
        self.wake.set()

    def close(self, code: int) -> None:
        self.closing = code
        self.wake.set()

    def frame(self) -> str:
        """All that is to be sent now; a sign of life if there is nothing."""
        text = self._text()
        self.pending, self.reload, self.spoken_to = NOTHING, False, True
        series.FRAMES.inc()
        series.SENT.inc(len(text.encode()))
        return text

    def _text(self) -> str:
        states = {"reload": self.reload, "behind": self.behind}
        told = {name: True for name, holds in states.items() if holds}
        if not told:
            return self.pending.text(self.sequence)
        return _frame({"sequence": self.sequence, **told}, self.pending.fragments)


def _frame(header: Mapping[str, object], fragments: Mapping[str, str]) -> str:
    """A JSON header line, and HTML. What HTML knows only inside a table comes in one."""
    html = "".join(
        f"<table data-live-rows>{''.join(alike)}</table>" if in_table else "".join(alike)
        for in_table, alike in groupby(fragments.values(), _belongs_in_table)
    )
    return f"{json.dumps(header)}\n{html}"


def _belongs_in_table(html: str) -> bool:
    return html.lstrip().startswith(("<tr", "<tbody"))
