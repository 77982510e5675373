"""What containers print. Nothing is stored: the lines are a function of the task and the time.

So ten thousand silent readers cost nothing, and a task's past lines stay the same however often
they are read.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from simulator.clock import NANOSECONDS, now
from simulator.images import environment
from simulator.objects import Task, TaskState

STDOUT, STDERR = 1, 2
PERIOD_SECONDS = 4.0
KEPT_LINES = 400


@dataclass(frozen=True, slots=True)
class Line:
    moment: int
    stream: int
    text: str


Chatter = Callable[[str, int, random.Random], str]


def _plain(image: str, number: int, generator: random.Random) -> str:
    path = generator.choice(["/", "/healthz", "/api/items", "/api/orders", "/metrics"])
    duration = generator.randrange(2, 90)
    return f'{image} level=info msg="handled request" path={path} status=200 ms={duration}'


class Logs:
    """`chatter` words the lines of an image by a prefix of its name; others speak plainly."""

    def __init__(self, chatter: dict[str, Chatter] | None = None, speed: float = 1.0) -> None:
        self._chatter = chatter or {}
        self._period = PERIOD_SECONDS / speed

    def lines(self, task: Task, since: int, until: int) -> list[Line]:
        """The task's lines of [since, until), oldest first; nanoseconds since the epoch."""
        start = self._start(task)
        if start is None:
            return []
        end = task.status.timestamp if task.state > TaskState.RUNNING else now()
        if "LAB_LINES" in environment(task.spec):
            every = self._counted(task, start)
        else:
            every = [Line(start, STDOUT, f"{_short(task.image)} started")]
            every += self._steady(task, start, max(since, start), min(until, end))
            every += self._last_words(task)
        return [line for line in every if since <= line.moment < until and line.moment <= end]

    def _start(self, task: Task) -> int | None:
        if task.started:
            return task.started
        return task.status.timestamp if task.state == TaskState.FAILED else None

    def _counted(self, task: Task, start: int) -> list[Line]:
        """What LAB_LINES asks for: numbered lines, then one to stderr."""
        variables = environment(task.spec)
        count = int(variables["LAB_LINES"])
        interval = round(float(variables.get("LAB_LINE_INTERVAL", "0")) * NANOSECONDS)
        lines = [Line(start + n * interval + n, STDOUT, f"line {n + 1}") for n in range(count)]
        return [*lines, Line(start + count * (interval + 1), STDERR, "that was all")]

    def _steady(self, task: Task, start: int, since: int, end: int) -> list[Line]:
        period = round(self._period * NANOSECONDS)
        first = max(1, (since - start) // period, (end - start) // period - KEPT_LINES)
        numbers = range(first, (end - start) // period + 1)
        return [self._line(task, start, number, period) for number in numbers]

    def _line(self, task: Task, start: int, number: int, period: int) -> Line:
        generator = random.Random(f"{task.id}{number}")
        moment = start + number * period - generator.randrange(period // 2)
        stream = STDERR if generator.random() < 0.1 else STDOUT
        return Line(moment, stream, self._words(task)(_short(task.image), number, generator))

    def _words(self, task: Task) -> Chatter:
        name = _short(task.image)
        for prefix, chatter in self._chatter.items():
            if name.startswith(prefix):
                return chatter
        return _plain

    def _last_words(self, task: Task) -> list[Line]:
        if task.state != TaskState.FAILED or not task.status.exit_code:
            return []
        text = f"fatal: exiting with status {task.status.exit_code}"
        return [Line(task.status.timestamp, STDERR, text)]


def _short(image: str) -> str:
    return image.partition("@")[0].partition(":")[0].rpartition("/")[2]
