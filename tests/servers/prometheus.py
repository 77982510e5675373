"""Prometheus of the system's package, with a history that the test gives it."""

import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.daemon import free_port, running, temporary_folder

CONFIGURATION = """\
global: {scrape_interval: 5s, evaluation_interval: 5s}
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ["127.0.0.1:%d"]}]
"""


def missing_prometheus() -> str | None:
    """Why there is no Prometheus to test with; None if there is one."""
    found = shutil.which("prometheus") and shutil.which("promtool")
    return None if found else "prometheus is not installed"


class Server:
    """A Prometheus on a loopback port, which can be stopped and started on the same data."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "prometheus.yml").write_text(CONFIGURATION % self.port)

    def backfill(self, openmetrics: str) -> None:
        """Give it a history, before it runs: samples with their times, and # EOF at the end."""
        file = self.folder / "history"
        file.write_text(openmetrics)
        subprocess.run(
            ["promtool", "tsdb", "create-blocks-from", "openmetrics", file, self.folder / "data"],
            check=True, stdout=subprocess.DEVNULL, timeout=120,
        )  # fmt: skip

    @contextmanager
    def started(self) -> Iterator[str]:
        command = (
            "prometheus", f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/data", "--storage.tsdb.retention.time=1y",
            f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn",
            "--query.max-samples=200000",
        )  # fmt: skip
        with running(command, self._ready, self.folder / "log"):
            yield self.url

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def packaged_prometheus(history: str = "") -> Iterator[Server]:
    """A Prometheus that is not started yet."""
    with temporary_folder("prometheus") as folder:
        server = Server(folder)
        if history:
            server.backfill(history)
        yield server
