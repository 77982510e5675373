"""The ways to an engine: several addresses, TLS, SSH; and engines that cannot be spoken to."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from clusters.adapters.docker_engine import DockerEngine
from clusters.adapters.docker_streams import DockerStreams
from clusters.ports import (
    Connection,
    EngineUnreachable,
    EngineUnsupported,
    ObjectMissing,
    TLSMaterial,
)
from tests.engines import Engine, SimulatedEngine
from tests.servers.certificates import Authority
from tests.servers.daemon import free_port
from tests.servers.fixtures import require
from tests.servers.relay import Relay
from tests.servers.ssh import SSHHome, missing_sshd, ssh_before

Open = Callable[..., DockerEngine]


@pytest.fixture
def reach() -> Iterator[Open]:
    """Opens engines by address; closes them afterwards."""
    opened: list[DockerEngine] = []

    def reach(*addresses: str, tls: TLSMaterial | None = None, timeout: float = 5) -> DockerEngine:
        opened.append(DockerEngine(Connection(addresses, tls, timeout)))
        return opened[-1]

    yield reach
    for engine in opened:
        engine.close()


def _socket(engine: Engine | SimulatedEngine) -> Path:
    return Path(engine.url.removeprefix("unix://"))


def _first_event(connection: Connection, cause: Callable[[], object]) -> str:
    """The type of the first event that the streams bring after the cause."""

    async def read() -> str:
        streams = DockerStreams(connection)
        events = streams.events()
        try:
            async with asyncio.timeout(20):
                first = asyncio.ensure_future(anext(events))
                while not first.done():
                    await asyncio.to_thread(cause)
                    await asyncio.wait([first], timeout=0.5)
                return str((await first)["Type"])
        finally:
            await events.aclose()  # type: ignore[attr-defined]
            await streams.close()

    return asyncio.run(read())


# --- Several addresses ---------------------------------------------------------------------------


def test_a_dead_first_address_is_passed_over_and_named(
    swarm_engine: Engine, reach: Open, tmp_path: Path
) -> None:
    dead = f"unix://{tmp_path}/nobody.sock"
    engine = reach(dead, swarm_engine.url)
    assert engine.facts().address == swarm_engine.url
    (first, second) = engine.reports()
    assert (first.address, second.error) == (dead, "")
    assert first.error == f"{dead} cannot be reached: No such file or directory"


def test_when_the_good_address_dies_another_is_found_and_back_again(
    swarm_engine: Engine, reach: Open, tmp_path: Path
) -> None:
    one, two = tmp_path / "one.sock", tmp_path / "two.sock"
    with Relay(_socket(swarm_engine), one) as first, Relay(_socket(swarm_engine), two) as second:
        engine = reach(f"unix://{one}", f"unix://{two}")
        assert engine.facts().address == f"unix://{one}"
        first.cut()
        assert engine.facts().address == f"unix://{two}"
        before = second.connections
        engine.nodes()
        first.restore()
        second.cut()
        assert engine.facts().address == f"unix://{one}"
        engine.check_addresses()
        assert [bool(report.error) for report in engine.reports()] == [False, True]
        second.restore()
        engine.check_addresses()
        assert [report.error for report in engine.reports()] == ["", ""]
        assert second.connections > before


def test_a_cluster_without_a_living_address_says_what_is_wrong(reach: Open, tmp_path: Path) -> None:
    port = free_port()
    engine = reach(f"unix://{tmp_path}/nobody.sock", f"tcp://127.0.0.1:{port}")
    with pytest.raises(EngineUnreachable, match="Connection refused"):
        engine.nodes()
    with pytest.raises(EngineUnreachable):
        engine.update_service("x", 1, {})


# --- TLS -----------------------------------------------------------------------------------------


@pytest.fixture
def ours() -> Authority:
    return Authority("ours")


@pytest.fixture
def behind_tls(swarm_engine: Engine, ours: Authority, tmp_path: Path) -> Iterator[Relay]:
    """The engine on a port of the loopback, behind a certificate of our authority."""
    with Relay(_socket(swarm_engine), tls=ours.server(tmp_path)) as relay:
        yield relay


def test_an_engine_behind_tls_is_verified_for_requests_and_streams(
    swarm_engine: Engine, behind_tls: Relay, ours: Authority, reach: Open
) -> None:
    address = f"tcp://127.0.0.1:{behind_tls.port}"
    engine = reach(address, tls=ours.client())
    assert engine.facts().is_manager
    assert engine.nodes()
    here = reach(swarm_engine.url)
    assert _first_event(
        Connection((address,), ours.client()), lambda: _touch_network(swarm_engine)
    ) in ("network", "container", "node", "service")
    assert here.nodes()[0]["ID"] == engine.nodes()[0]["ID"]


def _touch_network(engine: Engine) -> None:
    with engine.client() as client:
        client.remove_network(client.create_network("touched", driver="bridge")["Id"])


@pytest.mark.parametrize("bundle", ["", "theirs"])
def test_a_certificate_of_another_authority_is_refused_whatever_the_environment_says(
    behind_tls: Relay,
    ours: Authority,
    reach: Open,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bundle: str,
) -> None:
    """REQUESTS_CA_BUNDLE neither lets a stranger in nor keeps the cluster's own authority out."""
    theirs = Authority("theirs")
    address = f"tcp://127.0.0.1:{behind_tls.port}"
    trusted = tmp_path / "bundle.pem"
    trusted.write_text(ours.pem if bundle else theirs.pem)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    client = ours.client()
    stranger = TLSMaterial(theirs.pem, client.certificate, client.key)
    with pytest.raises(EngineUnreachable, match="(?i)certificate"):
        reach(address, tls=stranger).facts()
    with pytest.raises(EngineUnreachable, match="(?i)certificate"):
        _first_event(Connection((address,), stranger), lambda: None)
    assert reach(address, tls=client).facts().is_manager


def test_a_client_of_another_authority_is_refused_by_the_engine(
    behind_tls: Relay, ours: Authority, reach: Open
) -> None:
    theirs = Authority("theirs").client()
    engine = reach(
        f"tcp://127.0.0.1:{behind_tls.port}",
        tls=TLSMaterial(ours.pem, theirs.certificate, theirs.key),
    )
    with pytest.raises(EngineUnreachable):
        engine.facts()


# --- SSH -----------------------------------------------------------------------------------------


@pytest.fixture
def ssh_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SSHHome:
    home = SSHHome(tmp_path)
    monkeypatch.setenv("PATH", home.path)
    return home


@pytest.fixture
def ssh_address(swarm_engine: Engine, ssh_home: SSHHome) -> Iterator[str]:
    """A real sshd before the engine."""
    require(missing_sshd())
    with ssh_before(_socket(swarm_engine), ssh_home) as address:
        yield address


def test_an_unknown_host_key_is_refused(ssh_address: str, ssh_home: SSHHome, reach: Open) -> None:
    with pytest.raises(EngineUnreachable, match="Host key verification failed"):
        reach(ssh_address).facts()
    assert ssh_home.known == "", "nor is it learnt by the way"


def test_an_engine_is_reached_over_ssh_for_requests_and_streams(
    swarm_engine: Engine, ssh_address: str, ssh_home: SSHHome, reach: Open
) -> None:
    ssh_home.know(ssh_address)
    engine = reach(ssh_address, timeout=15)
    assert engine.facts().is_manager
    assert engine.nodes()
    assert _first_event(
        Connection((ssh_address,), timeout=15), lambda: _touch_network(swarm_engine)
    )


def test_a_tunnel_that_broke_is_opened_again(
    ssh_address: str, ssh_home: SSHHome, reach: Open
) -> None:
    ssh_home.know(ssh_address)
    engine = reach(ssh_address, timeout=15)
    engine.facts()
    tunnel = next(iter(engine._tunnels.values()))._process
    assert tunnel is not None
    tunnel.kill()
    tunnel.wait(10)
    with pytest.raises(EngineUnreachable):
        engine.nodes()
    assert engine.nodes()


# --- Engines that cannot be spoken to ------------------------------------------------------------


def test_an_engine_that_is_too_old_is_told_as_such(reach: Open) -> None:
    with SimulatedEngine("--api-version", "1.24") as old:
        with pytest.raises(EngineUnsupported, match=r"API 1.24\), which is too old") as caught:
            reach(old.url).facts()
        assert "API 1.40 (Engine 19.03) or newer" in str(caught.value)


def test_a_newer_engine_is_spoken_to_in_its_own_version(reach: Open) -> None:
    with SimulatedEngine("--api-version", "1.99", "--min-api-version", "1.90") as new:
        assert reach(new.url).facts().api_version == "1.99"


def test_an_engine_that_hangs_is_given_up_in_time(reach: Open) -> None:
    with SimulatedEngine() as hung:
        engine = reach(hung.url, timeout=0.5)
        assert engine.nodes()
        hung.freeze()
        for ask in (engine.nodes, engine.facts, lambda: engine.update_service("x", 1, {})):
            with pytest.raises(EngineUnreachable, match="did not answer within 0.5 s"):
                ask()
        with pytest.raises(EngineUnreachable, match="no answer within 0.5 s"):
            _first_event(Connection((hung.url,), timeout=0.5), lambda: None)
        hung.thaw()
        assert engine.nodes()


class Stranger(BaseHTTPRequestHandler):
    """A web server that is no engine."""

    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b"[]", b"null", b'{"ApiVersion": "new"}', b'{"ApiVersion": 7}']
)
def test_what_is_no_engine_is_told_as_such(
    reach: Open, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stranger, "body", body)
    server = HTTPServer(("127.0.0.1", 0), Stranger)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with pytest.raises(EngineUnreachable, match="answers, but is no Docker Engine"):
            reach(f"tcp://127.0.0.1:{server.server_port}").facts()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_is_not_there_is_named(swarm_engine: Engine, reach: Open) -> None:
    with pytest.raises(ObjectMissing, match="service nowhere not found"):
        reach(swarm_engine.url).service("nowhere")
