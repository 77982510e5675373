"""What somebody looks at is drawn again and again, beside the hub, once for all who look.

Neither the hub nor a page's request ever waits for a source: they take the picture that is there.
Threads run only while somebody looks.
"""

import logging
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from django.db import close_old_connections, connection

from metrics.pictures import Picture, Subject, draw

log = logging.getLogger(__name__)

WORKERS = 4  # how many sources may be slow before others have to wait
LOOKING = 15.0  # seconds after the last look until nobody is thought to look
AGAIN = 2.5  # seconds for which nobody asks a source that has just been found away
MOST_SUBJECTS = 500
MOST_WAITING = 8  # programs: each holds a thread and a connection meanwhile
LONGEST_SLEEP = 1.0  # seconds
UNFORESEEN = "The panel failed in a way that nobody foresaw. Its log holds the details."


@dataclass(eq=False)
class _Watched:
    looked_at: float  # monotonic, as the others
    due_at: float = 0.0
    drawing: bool = False
    picture: Picture | None = None
    number: int = 0  # goes up with every picture that differs from the one before


class Poller:
    """Safe to use from several threads."""

    def __init__(
        self, paint: Callable[[Subject], Picture] = draw, *, workers: int = WORKERS
    ) -> None:
        self._paint = paint
        self._most_workers = workers
        self._workers = 0
        self._watched: dict[Subject, _Watched] = {}
        self._away: dict[str, tuple[float, Picture]] = {}  # cluster → until when, and why
        self._changed = threading.Condition()
        self._waiting = 0

    # --- For those who look ----------------------------------------------------------------------

    def look(self, subject: Subject) -> Picture | None:
        """The picture as it is, to be kept fresh from now on; None if there is none yet."""
        with self._changed:
            watched = self._note(subject)
            return watched.picture if watched else None

    def state(self, subject: Subject) -> Hashable:
        """Looks, and tells two pictures apart."""
        with self._changed:
            watched = self._note(subject)
            return watched.number if watched else 0

    def wait(self, subject: Subject, seconds: float) -> Picture | None:
        """The picture, once it is there and no older than it need be; for programs, not pages."""
        with self._changed:
            if self._waiting >= MOST_WAITING:
                seconds = 0.0
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: self._is_fresh(subject), seconds)
            finally:
                self._waiting -= 1
            watched = self._note(subject)
            return watched.picture if watched else None

    def _is_fresh(self, subject: Subject) -> bool:
        watched = self._note(subject)
        if watched is None:
            return True  # nothing will come
        return watched.picture is not None and watched.due_at > time.monotonic()

    def forget(self, cluster: str) -> None:
        """Draw whatever is of this cluster anew: its source is another one."""
        with self._changed:
            self._away.pop(cluster, None)
            for subject, watched in self._watched.items():
                if subject.cluster == cluster:
                    watched.due_at = 0.0
            self._changed.notify_all()

    def _note(self, subject: Subject) -> _Watched | None:
        now = time.monotonic()
        watched = self._watched.get(subject)
        if watched is None:
            self._drop(now)
            if len(self._watched) >= MOST_SUBJECTS:
                return None
            watched = self._watched[subject] = _Watched(now)
            self._changed.notify()
        watched.looked_at = now
        if self._workers < min(self._most_workers, len(self._watched)):
            self._workers += 1
            name = f"metrics-{self._workers}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        return watched

    # --- The threads -----------------------------------------------------------------------------

    def _work(self) -> None:
        while (subject := self._next()) is not None:
            self._put(subject, self._drawn(subject))

    def _next(self) -> Subject | None:
        """The subject that has been due for longest; None when nobody looks at anything."""
        with self._changed:
            while True:
                now = time.monotonic()
                self._drop(now)
                idle = [(w.due_at, s) for s, w in self._watched.items() if not w.drawing]
                due_at, subject = min(idle, key=lambda one: one[0], default=(now + 1, None))
                if subject and due_at <= now:
                    self._watched[subject].drawing = True
                    return subject
                if len(self._watched) < self._workers:
                    self._workers -= 1
                    return None
                self._changed.wait(min(due_at - now, LONGEST_SLEEP))

    def _drop(self, now: float) -> None:
        old = [s for s, w in self._watched.items() if now - w.looked_at > LOOKING and not w.drawing]
        for subject in old:
            del self._watched[subject]

    def _drawn(self, subject: Subject) -> Picture:
        until, away = self._away.get(subject.cluster, (0.0, None))
        if away and time.monotonic() < until:
            return away  # somebody has just tried in vain
        close_old_connections()
        try:
            return self._paint(subject)
        except Exception:  # noqa: BLE001 - a picture must not end the thread that draws the others
            log.exception("The metrics of %s cannot be drawn", subject)
            return Picture("away", reason=UNFORESEEN)
        finally:
            connection.close()  # to the pool: others may need it sooner

    def _put(self, subject: Subject, picture: Picture) -> None:
        now = time.monotonic()
        with self._changed:
            watched = self._watched[subject]
            watched.drawing = False
            watched.due_at = now + picture.again
            if picture.state != "away":
                self._away.pop(subject.cluster, None)
            elif self._away.get(subject.cluster, (0.0, None))[0] < now:
                self._away[subject.cluster] = (now + AGAIN, picture)
            if picture != watched.picture:
                watched.picture = picture
                watched.number += 1
            self._changed.notify_all()


POLLER = Poller()  # of this process
