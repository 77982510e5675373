"""Clusters registered, looked at, made and forgotten in the browser."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from clusters.ports import TLSMaterial
from tests.browser.operating import Person
from tests.engines.engine import Engine
from tests.servers.certificates import Authority
from tests.servers.fixtures import require
from tests.servers.relay import Relay
from tests.servers.ssh import SSHHome, missing_sshd, ssh_before

pytestmark = [pytest.mark.browser, pytest.mark.engine]

Register = Callable[..., None]


@pytest.fixture
def register(operator: Person) -> Iterator[Register]:
    """Registers a cluster by the form, and forgets it when the test is over."""
    names: list[str] = []

    def register(name: str, *addresses: str, tls: TLSMaterial | None = None) -> None:
        names.append(name)
        operator.open("/")
        operator.page.get_by_role("main").get_by_role("link", name="Register a cluster").click()
        fill_in(operator, name, *addresses, tls=tls)
        operator.page.wait_for_url(f"**/clusters/{name}/")
        operator.loads = 0

    yield register
    for name in names:
        if operator.page.goto(f"{operator.panel.url}/clusters/{name}/remove/").ok:
            forget(operator, name)


def fill_in(person: Person, name: str, *addresses: str, tls: TLSMaterial | None = None) -> None:
    page = person.page
    page.get_by_label("Name").fill(name)
    page.get_by_label("Managers' addresses").fill("\n".join(addresses))
    if tls:
        page.get_by_text("TLS, for tcp:// addresses").click()
        page.get_by_label("CA certificate").fill(tls.ca)
        page.get_by_label("Client certificate").fill(tls.certificate)
        page.get_by_label("Client key").fill(tls.key)
    page.get_by_role("button", name="Register").click()


def forget(person: Person, name: str) -> None:
    person.page.get_by_label(f"Type {name} to confirm").fill(name)
    person.page.get_by_role("button", name=f"Remove {name}").click()
    person.page.wait_for_url(f"{person.panel.url}/")


def until_live(person: Person) -> None:
    """Until the cluster page shows the Swarm's node, by itself."""
    node = person.page.get_by_role("row", name=re.compile("^node-1 Ready"))
    expect(node).to_be_visible()
    expect(person.page.locator("#live")).to_have_attribute("data-state", "live")


@pytest.fixture(scope="module")
def ours() -> Authority:
    return Authority("ours")


@pytest.fixture(scope="module")
def behind_tls(
    swarm_engine: Engine, ours: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The engine's address on a port of the loopback, behind a certificate of our authority."""
    server = ours.server(tmp_path_factory.mktemp("tls"))
    with Relay(socket_of(swarm_engine), tls=server) as relay:
        yield f"tcp://127.0.0.1:{relay.port}"


def socket_of(engine: Engine) -> Path:
    return Path(engine.url.removeprefix("unix://"))


def test_a_cluster_behind_tls_is_live_as_soon_as_it_is_registered(
    operator: Person, onlooker: Person, register: Register, behind_tls: str, ours: Authority
) -> None:
    onlooker.open("/")
    register("behind-tls", behind_tls, tls=ours.client())
    until_live(operator)
    card = onlooker.page.locator("#cluster-behind-tls")
    expect(card).to_contain_text("Up to date")
    assert onlooker.loads == 0


def test_a_certificate_of_another_authority_is_told_and_what_to_do(
    operator: Person, register: Register, behind_tls: str, ours: Authority
) -> None:
    client = ours.client()
    wrong = TLSMaterial(Authority("theirs").pem, client.certificate, client.key)
    register("wrong-ca", behind_tls, tls=wrong)
    operator.until_told("Unreachable")
    operator.until_told("is not signed by the CA certificate")


def test_an_unknown_host_is_refused_and_reached_once_its_key_is_known(
    operator: Person, register: Register, swarm_engine: Engine, ssh_home: SSHHome
) -> None:
    require(missing_sshd())
    ssh_home.forget_hosts()
    with ssh_before(socket_of(swarm_engine), ssh_home) as address:
        register("by-ssh", address)
        operator.until_told("Host key verification failed")
        operator.until_told("known_hosts")
        ssh_home.know(address)
        until_live(operator)


def test_a_dead_first_address_is_named_beside_the_one_that_answers(
    operator: Person, register: Register, swarm_engine: Engine, tmp_path: Path
) -> None:
    dead = f"unix://{tmp_path}/nobody.sock"
    register("two-ways", dead, swarm_engine.url)
    until_live(operator)
    managers = operator.page.locator("#cluster-head .managers li")
    expect(managers.nth(0)).to_contain_text("Not usable")
    expect(managers.nth(0)).to_contain_text(f"{dead} cannot be reached: No such file")
    expect(managers.nth(1)).to_contain_text("Answers")


def test_nobody_says_that_all_is_well_while_a_cluster_is_out_of_sight(
    operator: Person, onlooker: Person, register: Register, tmp_path: Path
) -> None:
    verdict = onlooker.open("/").page.locator("#verdict")
    expect(verdict).not_to_contain_text("Cannot know")
    register("silent", f"unix://{tmp_path}/nobody.sock")
    expect(verdict).to_contain_text("Cannot know of silent: never seen")
    assert onlooker.loads == 0


def test_a_cluster_is_forgotten_once_its_name_is_typed(
    operator: Person, onlooker: Person, register: Register, swarm_engine: Engine
) -> None:
    register("for-a-day", swarm_engine.url)
    until_live(operator)
    onlooker.open("/clusters/for-a-day/services/")

    operator.page.get_by_role("link", name="Remove for-a-day…").click()
    operator.dialog.get_by_label("Type for-a-day to confirm").fill("for-a-night")
    operator.dialog.get_by_role("button", name="Remove for-a-day").click()
    expect(operator.dialog).to_contain_text("Type for-a-day, exactly.")
    forget(operator, "for-a-day")

    expect(operator.page.locator("#cluster-local")).to_be_visible()
    expect(operator.page.locator("#cluster-for-a-day")).to_have_count(0)
    expect(onlooker.page.locator("main")).to_contain_text("This cluster was removed")


def test_an_engine_outside_swarm_mode_is_initialised_from_its_page(
    operator: Person, onlooker: Person, register: Register, plain_engine: Engine
) -> None:
    onlooker.open("/")
    register("plain", plain_engine.url)
    operator.until_told("Not in Swarm mode")
    ask_for_swarm(operator, "not an address")
    expect(operator.dialog.locator(".field")).to_contain_text("is neither an IP address nor")
    operator.page.keyboard.press("Escape")

    ask_for_swarm(operator, "203.0.113.9")
    operator.until_told("The engine refused")
    ask_for_swarm(operator, "127.0.0.1")
    until_live(operator)
    expect(onlooker.page.locator("#cluster-plain")).to_contain_text("1/1 nodes")
    assert (operator.loads, onlooker.loads) == (0, 0)


def ask_for_swarm(person: Person, advertise: str) -> None:
    person.page.get_by_role("link", name="Initialise Swarm…").click()
    person.dialog.get_by_label("Advertise address").fill(advertise)
    person.dialog.get_by_role("button", name="Initialise Swarm").click()
