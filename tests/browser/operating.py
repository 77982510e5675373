"""A panel on a real engine, and people with browsers in front of it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker
from playwright.sync_api import Browser, Page, expect

from tests.engines.engine import Engine
from tests.supervisor.panel import Panel, wait_for

PASSWORD = "correct horse battery staple"
PATIENCE = 60_000  # milliseconds: for a rollout on a busy machine


class Person:
    """Somebody signed in, with one page open."""

    def __init__(self, browser: Browser, panel: Panel, **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.panel = panel
        self.loads = 0
        self.page.goto(f"{panel.url}/sign-in/")
        self.page.get_by_label("User name").fill("admin")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("navigation").first).to_be_visible()

    def open(self, path: str) -> "Person":
        """Open a page, wait until it is live, and count every load of a document from then on."""
        self.page.goto(self.panel.url + path)
        expect(self.page.locator("#live[data-state=live]")).to_be_attached(timeout=PATIENCE)
        self.loads = 0
        self.page.on("domcontentloaded", lambda _: setattr(self, "loads", self.loads + 1))
        return self

    def service(self, name: str) -> "Person":
        """Open a service's page as soon as the panel knows of it."""
        path = f"/clusters/local/services/{name}/"
        wait_for(
            lambda: self.page.goto(self.panel.url + path).status == 200, f"{name} in the panel"
        )
        return self.open(path)

    def act(self, action: str) -> None:
        """Open the dialog of an action on the service page."""
        self.page.locator("#service-head").get_by_role("link", name=action, exact=True).click()
        expect(self.dialog).to_be_visible()

    @property
    def dialog(self) -> Any:
        return self.page.locator("#dialog-body")

    def preview(self) -> None:
        self.dialog.get_by_role("button", name="Preview").click()
        expect(self.dialog.get_by_role("heading", name="Difference in the spec")).to_be_visible()

    def confirm(self, verb: str) -> None:
        self.dialog.get_by_role("button", name=re.compile(f"^{verb} ")).click()
        expect(self.dialog).to_have_count(0)

    def last_operation(self, state: str) -> None:
        """Wait until the newest operation of the service is in this state, as the page tells it."""
        row = self.page.locator("#service-operations [id^=operation-]").first
        expect(row).to_contain_text(state, timeout=PATIENCE)


@contextmanager
def service(engine: Engine, name: str, **changes: Any) -> Iterator[docker.APIClient]:
    """A service of four tasks that stops and updates quickly, removed at the end."""
    client = engine.client()
    client.post_json = client._post_json
    spec = {
        "Name": name,
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": "lab/web:1",
                "Env": ["GREETING=hello"],
                "StopGracePeriod": 10**9,
                "Init": True,
            },
            "RestartPolicy": {"Condition": "any", "Delay": 10**9},
        },
        "Mode": {"Replicated": {"Replicas": 4}},
        "UpdateConfig": {
            "Parallelism": 1,
            "Delay": 0,
            "Monitor": 2 * 10**9,
            "FailureAction": "rollback",
            "Order": "stop-first",
        },
        "RollbackConfig": {"Parallelism": 0, "Monitor": 10**9, "FailureAction": "pause"},
        **changes,
    }
    answer = client._post_json(client._url("/services/create"), data=spec)
    client._raise_for_status(answer)
    try:
        yield client
    finally:
        client.remove_service(name)
        client.close()
