"""A secret rotated in a real browser on a real Swarm, with a second browser looking on."""

import re
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from playwright.sync_api import expect

from tests.browser.operating import Person, service
from tests.engines.engine import Engine
from tests.supervisor.panel import Panel, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.engine]
NAMES = ("secret-front", "secret-back")
FIRST, SECOND = "first-canary-value", "second-canary-value"


@pytest.fixture
def client(swarm_engine: Engine) -> Iterator[docker.APIClient]:
    with swarm_engine.client() as client:
        yield client
        for secret in client.secrets():
            client.remove_secret(secret["ID"])


def mounting(client: docker.APIClient, name: str) -> dict[str, Any]:
    (secret,) = client.secrets(filters={"name": name})
    file = {"Name": "password", "UID": "0", "GID": "0", "Mode": 0o444}
    reference = {"File": file, "SecretID": secret["ID"], "SecretName": name}
    container = {"Image": "lab/web:1", "Init": True, "Secrets": [reference]}
    template = {"ContainerSpec": container, "RestartPolicy": {"Condition": "any"}}
    return {"TaskTemplate": template, "Mode": {"Replicated": {"Replicas": 2}}}


def mounted(client: docker.APIClient, name: str) -> set[bytes]:
    """What the file says in every running container of the service."""
    found = set()
    wanted = {"label": f"com.docker.swarm.service.name={name}", "status": "running"}
    for container in client.containers(filters=wanted):
        run = client.exec_create(container["Id"], ["cat", "/run/secrets/password"])
        found.add(client.exec_start(run["Id"]))
    return found


def test_a_rotation_from_click_to_done_is_seen_by_everybody(
    operator: Person, onlooker: Person, swarm_engine: Engine, client: docker.APIClient, panel: Panel
) -> None:
    operator.open("/clusters/local/secrets/")
    onlooker.open("/clusters/local/secrets/")
    page = operator.page
    page.get_by_role("link", name="Create a secret").click()
    operator.dialog.get_by_label("Name", exact=True).first.fill("password")
    operator.dialog.get_by_label("Value", exact=True).first.fill(FIRST)
    operator.dialog.get_by_role("button", name="Create", exact=True).click()
    row = onlooker.page.get_by_role("row", name=re.compile("password"))
    expect(row).to_contain_text("not used")

    front, back = NAMES
    parts = mounting(client, "password")
    order = {"Parallelism": 1, "Monitor": 10**9, "FailureAction": "rollback"}
    with (
        service(swarm_engine, front, **parts, UpdateConfig={**order, "Order": "start-first"}),
        service(swarm_engine, back, **parts, UpdateConfig={**order, "Order": "stop-first"}),
    ):
        expect(row).to_contain_text(f"{back}, {front}")
        wait_for(lambda: mounted(client, front) == {FIRST.encode()}, "the first value")

        page.get_by_role("link", name="password", exact=True).click()
        expect(page.get_by_role("cell", name="/run/secrets/password").first).to_be_visible()
        page.get_by_role("link", name="Rotate", exact=True).click()
        operator.dialog.get_by_label("Value", exact=True).fill(SECOND)
        operator.dialog.get_by_role("button", name="Preview").click()
        expect(operator.dialog).to_contain_text("password_v2 is created")
        expect(operator.dialog.get_by_role("row", name=front)).to_contain_text("start first")
        assert SECOND not in page.content()
        operator.dialog.get_by_role("button", name="Rotate password").click()
        expect(operator.dialog).to_have_count(0)
        page.get_by_role("link", name="Follow it").click()

        expect(row.first).to_contain_text("rotating")
        steps = page.locator(".step-list")
        for told in ("Create the new version", f"Update {back}", f"Update {front}", "Remove the"):
            expect(steps).to_contain_text(told)
        expect(page.locator("#operation")).to_contain_text("Succeeded")
        expect(page.locator("#operation")).to_contain_text("2 services use password_v2")
        new = onlooker.page.get_by_role("row", name=re.compile("password_v2"))
        expect(new).to_contain_text(f"{back}, {front}")
        expect(onlooker.page.get_by_role("link", name="password", exact=True)).to_have_count(0)
        for name in NAMES:
            assert mounted(client, name) == {SECOND.encode()}
    assert onlooker.loads == 0
    logs = "".join(log.read_text(errors="replace") for log in (panel.state / "log").iterdir())
    for value in (FIRST, SECOND):
        assert value not in page.content() + onlooker.page.content() + logs
