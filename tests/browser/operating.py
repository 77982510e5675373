"""A panel on a real engine, and people with browsers in front of it."""

import copy
import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import docker
from playwright.sync_api import Browser, Locator, Page, expect

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

    def another_tab(self) -> "Person":
        """The same person with a second page."""
        tab = copy.copy(self)
        tab.page = self.context.new_page()
        tab.page.set_default_timeout(PATIENCE)
        return tab

    def open(self, path: str) -> "Person":
        """Open a page as soon as the panel knows of what it shows, and wait until it is live.

        Every load of a document is counted from then on.
        """
        wait_for(lambda: self.page.goto(self.panel.url + path).status == 200, path)
        expect(self.page.locator("#live[data-state=live]")).to_be_attached()
        self.loads = 0
        self.page.on("domcontentloaded", lambda _: setattr(self, "loads", self.loads + 1))
        return self

    def with_a_socket_to_cut(self) -> dict[str, bool]:
        """Lead the live socket through here: it is refused and closed while `now` is true."""
        closed = {"now": False}

        def between(socket: Any) -> None:
            if closed["now"]:
                socket.close()
                return
            server = socket.connect_to_server()
            server.on_message(lambda text: socket.close() if closed["now"] else socket.send(text))

        self.page.route_web_socket("**/live/?**", between)
        return closed

    def service(self, name: str) -> "Person":
        """Open the page of a service of the local cluster."""
        return self.open(f"/clusters/local/services/{name}/")

    def act(self, action: str) -> None:
        """Open the dialog of an action on the service page."""
        self.head.get_by_role("link", name=action, exact=True).click()
        expect(self.dialog).to_be_visible()

    @property
    def dialog(self) -> Locator:
        return self.page.locator("#dialog-body")

    def preview(self) -> None:
        self.dialog.get_by_role("button", name="Preview").click()
        expect(self.dialog.get_by_role("heading", name="Difference in the spec")).to_be_visible()

    def confirm(self, verb: str) -> None:
        self.dialog.get_by_role("button", name=re.compile(f"^{verb} ")).click()
        self.until_closed()

    def until_closed(self) -> None:
        """Wait until the dialog is gone; fails with what it says."""
        try:
            expect(self.dialog).to_have_count(0)
        except AssertionError as error:
            raise AssertionError(f"The dialog stays: {self.dialog.inner_text()}") from error

    def update_to(self, image: str) -> None:
        """Ask for an update to the image, by way of the preview."""
        self.act("Update")
        self.dialog.get_by_label("Image").fill(image)
        self.preview()
        self.confirm("Update")

    def cancel(self, how: str) -> None:
        """Cancel what is under way, from the service page."""
        self.head.get_by_role("link", name="Cancel…").click()
        self.dialog.get_by_role("radio", name=re.compile(f"^{how}")).check()
        self.dialog.get_by_role("button", name="Cancel the operation").click()
        self.until_closed()

    @property
    def head(self) -> Locator:
        """What a service page says of the service above its tabs."""
        return self.page.locator("#service-head")

    def until_told(self, words: str) -> None:
        """Wait until the head of the service page, or of the cluster page, says so."""
        head = self.page.locator("#service-head, #cluster-head")
        expect(head).to_contain_text(words)

    def until_steady(self, count: int) -> None:
        """Wait until so many tasks run with the present spec, as the matrix shows them."""
        cells = self.page.locator("#task-matrix .cells .cell-running:not(.cell-old)")
        expect(cells).to_have_count(count)


class Web:
    """A service of the test's own, and the engine's word on it."""

    names = (f"web-{number}" for number in itertools.count(1))

    def __init__(self, name: str, engine: docker.APIClient) -> None:
        self.name, self.engine = name, engine

    def inspect(self) -> dict[str, Any]:
        return self.engine.inspect_service(self.name)

    @property
    def spec(self) -> dict[str, Any]:
        return self.inspect()["Spec"]

    @property
    def image(self) -> str:
        return self.spec["TaskTemplate"]["ContainerSpec"]["Image"]

    def task_ids(self) -> set[str]:
        wanted = {"service": self.name, "desired-state": "running"}
        return {task["ID"] for task in self.engine.tasks(wanted)}

    def task_images(self) -> list[str]:
        """The images of the tasks that shall run."""
        wanted = {"service": self.name, "desired-state": "running"}
        return [task["Spec"]["ContainerSpec"]["Image"] for task in self.engine.tasks(wanted)]

    def change(self, patch: Callable[[dict[str, Any]], object]) -> None:
        """Change the spec behind the panel's back."""
        present = self.inspect()
        patch(present["Spec"])
        url = self.engine._url("/services/{0}/update", present["ID"])
        version = {"version": present["Version"]["Index"]}
        answer = self.engine._post_json(url, data=present["Spec"], params=version)
        self.engine._raise_for_status(answer)


@contextmanager
def service(engine: Engine, name: str, **changes: Any) -> Iterator[docker.APIClient]:
    """A service of four tasks that stops and updates quickly, removed at the end."""
    client = engine.client()
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
        with suppress(docker.errors.NotFound):
            client.remove_service(name)
        client.close()
