"""A panel to measure: all of its processes, as `make run` starts them, on a fresh database."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.visitor import Visitor
from tests.engines import wait_until
from tests.supervisor.panel import Panel

PASSWORD = "correct horse battery staple"
CLUSTER = "/clusters/local"
OF_THE_LIST = ("services:local", "freshness:local", "tray", "alarms")  # of the services page
PATIENCE = 120.0  # seconds, for a large cluster's first picture on a busy machine


class MeasuredPanel:
    """A running panel, and somebody who is signed in."""

    def __init__(self, panel: Panel) -> None:
        self.url = panel.url
        self._panel = panel
        self.visitor = Visitor(panel.url).sign_in("admin", PASSWORD)

    def until_it_shows(self, services: int, tasks: int = 0) -> None:
        """Wait until the picture is whole: so many services, so many running tasks."""
        wait_until(lambda: self._shown() == (services, tasks), "the picture is whole", PATIENCE)

    def _shown(self) -> tuple[int, int]:
        found = self.visitor.json("/api/v1/clusters")["items"]
        if not found:
            return -1, -1
        return found[0]["services"]["total"], found[0]["tasks"]["running"]

    def live_address(self, *topics: str, since: int | None = None) -> str:
        """Of the socket of a page with these topics: one that is read just now, or was then."""
        if since is None:
            page = self.visitor.get(f"{CLUSTER}/services/").content.decode()
            since = int(page.partition('data-live-since="')[2].partition('"')[0])
        query = urlencode([("since", str(since)), *(("topics", topic) for topic in topics)])
        return f"{self.url.replace('http', 'ws', 1)}/live/?{query}"

    def tokens(self, people: int) -> list[str]:
        """Of so many new people who may look at everything."""
        return [self._token(f"viewer-{number}") for number in range(people)]

    def _token(self, name: str) -> str:
        self._panel.manage("grant", name, "viewer")
        return self._panel.manage("issue_token", name).strip().splitlines()[-1]

    def processes(self) -> dict[str, int]:
        """The ids of the panel's processes, by name."""
        return {name: record.pid for name, record in self._panel.processes().items()}


@contextmanager
def panel_on(engine_url: str) -> Iterator[MeasuredPanel]:
    """A panel that finds this engine by itself, as the cluster `local`."""
    with tempfile.TemporaryDirectory(prefix="ph-bench-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL's own user passes through
        panel = Panel(
            Path(folder) / "state", DOCKER_HOST=engine_url, PILOTHOUSE_ADMIN_PASSWORD=PASSWORD
        )
        try:
            yield MeasuredPanel(panel.until_up())
        finally:
            panel.stop()
