"""The simulated Swarm as a process of its own, with the same handles as a real engine."""

import http.client
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from lab.waiting import wait_until

PROJECT = Path(__file__).resolve().parents[2]


class SimulatedEngine:
    """`arguments` go to `python -m simulator`, after the socket."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self.directory = Path()

    @property
    def socket(self) -> Path:
        return self.directory / "docker.sock"

    @property
    def url(self) -> str:
        """What DOCKER_HOST would be."""
        return f"unix://{self.socket}"

    def __enter__(self) -> "SimulatedEngine":
        self.directory = Path(tempfile.mkdtemp(prefix="pilothouse-simulated-"))
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it (again): what it knew before is forgotten."""
        # A test run that is killed takes its simulators with it.
        command = ["setpriv", "--pdeathsig", "TERM", sys.executable, "-m", "simulator"]
        command += ["--socket", str(self.socket)]
        with (self.directory / "simulator.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self._arguments],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self._answers, "the simulator answers", 20)

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"the simulator ended; its log:\n{self.log()}")
        try:
            return self.post("/_ping", method="GET") == 200
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    def log(self) -> str:
        return (self.directory / "simulator.log").read_text(errors="replace")

    def post(self, path: str, body: str = "", method: str = "POST") -> int:
        """One request, as to the control endpoint under /_simulator; answers the status."""
        connection = UnixConnection(self.socket)
        try:
            connection.request(method, path, body=body)
            return connection.getresponse().status
        finally:
            connection.close()

    def freeze(self) -> None:
        """Connections are accepted by the kernel and never answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            self._signal(signal.SIGTERM)
            self._wait()
        shutil.rmtree(self.directory)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise RuntimeError("the simulator is not running")
        self._process.send_signal(number)

    def _wait(self) -> None:
        if self._process is not None:
            self._process.wait(timeout=20)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
