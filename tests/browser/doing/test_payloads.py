"""What others name and write is text in a real browser, however it looks: nothing of it runs."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.operating import Person, service
from tests.engines.engine import Engine

pytestmark = [pytest.mark.browser, pytest.mark.engine]

SCRIPT = "<script>window.pwned=1</script>"
IMAGE = "<img src=/x onerror=window.pwned=2>"
LINK = "javascript:window.pwned=3"
HTMX = '"><b hx-get="/account/" hx-trigger="load" hx-target="body">x</b>'
PAYLOADS = f"{SCRIPT} {IMAGE} {LINK} {HTMX}"
PAGES = ("", "logs/", "configuration/", "spec/", "revisions/", "operations/", "update/")


def watched(page: Page) -> list[str]:
    """What the browser says: violations of the policy, errors, and dialogs."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    return said


def template(**container: Any) -> dict[str, Any]:
    return {
        "ContainerSpec": {
            "Image": "lab/web:1", "Env": [f"PAYLOAD={PAYLOADS}"], "Labels": {"payload": PAYLOADS},
            "StopGracePeriod": 10**9, "Init": True, **container,
        },
        "RestartPolicy": {"Condition": "any", "Delay": 10**9},
    }  # fmt: skip


def test_payloads_in_labels_values_logs_and_errors_stay_text(
    operator: Person, swarm_engine: Engine
) -> None:
    command = {"Command": ["sh", "-c", f"while :; do echo '{PAYLOADS}'; sleep 1; done"]}
    parts: dict[str, Any] = {
        "TaskTemplate": template(**command), "Labels": {"payload": PAYLOADS, PAYLOADS: "x"},
    }  # fmt: skip
    with service(swarm_engine, "payloads", **parts):
        operator.service("payloads")
        said = watched(operator.page)
        for path in PAGES:
            operator.open(f"/clusters/local/services/payloads/{path}")
            if path == "logs/":
                line = operator.page.locator(".log-line").first
                expect(line).to_contain_text(SCRIPT)
            assert operator.page.evaluate("window.pwned") is None, path
            assert operator.page.locator("main b[hx-get], main img[src='/x']").count() == 0, path
            assert operator.page.url.endswith(path or "payloads/")
        operator.open("/audit/?target=payloads")
        assert operator.page.evaluate("window.pwned") is None
    assert said == []
