"""From the engine's event to the row in a browser, among 100 viewers, beside a bare reader."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from benchmarks.measures import Measure, quantile
from benchmarks.panel import CLUSTER, OF_THE_LIST, MeasuredPanel, panel_on
from benchmarks.reader import BareReader, Seen
from benchmarks.swarm import RawSwarm, socket_of, without_tasks
from tests.crowd import Crowd
from tests.engines import Engine

CHROMIUM = Path("/usr/bin/chromium")
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
VIEWERS, PEOPLE = 100, 4
WARM_UP = 5
FRAME = 1000 / 60  # milliseconds: a reader that draws what it hears cannot do better
MILLISECOND = 1_000_000  # nanoseconds
PATIENCE = 30_000  # milliseconds

# Notes when the row first says something else, in milliseconds of the machine's clock. The page's
# own clock was set when the page began; `behind` is how far the machine's has moved since.
OBSERVE = """id => {
  const image = () => document.getElementById(id).querySelector(".c-image").textContent.trim();
  const tick = Date.now();
  while (Date.now() === tick);
  const behind = Date.now() - (performance.timeOrigin + performance.now());
  let last = image();
  window.rowsSeen = [];
  new MutationObserver(() => {
    if (image() === last) return;
    last = image();
    window.rowsSeen.push([last, performance.timeOrigin + performance.now() + behind]);
  }).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


def measure(rounds: int) -> list[Measure]:
    """One change after another, each of a service's image; every one must reach the page."""
    with (
        Engine() as engine,
        RawSwarm(socket_of(engine.url)) as swarm,
        panel_on(engine.url) as panel,
        BareReader(socket_of(engine.url)) as reader,
        _services_page(panel) as page,
        _others(panel),
    ):
        service_id = swarm.create(without_tasks("changed"))
        page.locator(f"#service-{service_id}").wait_for(timeout=PATIENCE)
        page.evaluate(OBSERVE, f"service-{service_id}")
        images = [f"lab/web:{number}" for number in range(2, WARM_UP + rounds + 2)]
        for image in images:
            _change(swarm, reader, service_id, image)
        page.wait_for_function(f"rowsSeen.some(seen => seen[0] === '{images[-1]}')")
        shown: dict[str, float] = dict(page.evaluate("rowsSeen"))
        heard = dict(zip(images, reader.of(service_id), strict=True))
    return _judged(images[WARM_UP:], heard, shown)


@contextmanager
def _services_page(panel: MeasuredPanel) -> Iterator[Page]:
    """The page in a real browser, once its indicator says that it is live."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        try:
            context = browser.new_context()
            cookies = panel.visitor.cookies.items()
            context.add_cookies([{"name": n, "value": v, "url": panel.url} for n, v in cookies])
            page = context.new_page()
            page.goto(f"{panel.url}{CLUSTER}/services/")
            page.locator("#live[data-state=live]").wait_for(timeout=PATIENCE)
            yield page
        finally:
            browser.close()


def _others(panel: MeasuredPanel) -> Crowd:
    """They look at the same page, and are served by the same process."""
    headers = [{"Authorization": f"Bearer {token}"} for token in panel.tokens(PEOPLE)]
    return Crowd(panel.live_address(*OF_THE_LIST), VIEWERS - 1, headers)


def _change(swarm: RawSwarm, reader: BareReader, service_id: str, image: str) -> None:
    service: dict[str, Any] = swarm.get(f"/services/{service_id}")
    service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] = image
    before = len(reader.of(service_id))
    swarm.update(service_id, service["Version"]["Index"], service["Spec"])
    reader.next_after(before, service_id)
    time.sleep(random.uniform(0.3, 0.6))  # in no step with anything that looks now and then


def _judged(images: list[str], heard: dict[str, Seen], shown: dict[str, float]) -> list[Measure]:
    lost = [image for image in images if image not in shown]
    if lost:
        raise AssertionError(f"{len(lost)} of {len(images)} changes never reached the page")
    bare = [(heard[i].received - heard[i].stamp) / MILLISECOND for i in images]
    ours = [shown[i] - heard[i].stamp / MILLISECOND for i in images]
    return [
        Measure(
            f"engine event → browser's row, {name}",
            quantile(ours, share),
            "ms",
            quantile(bare, share) + FRAME,
            goal,
        )
        for name, share, goal in (("p50", 0.5, 1.5), ("p99", 0.99, 3.0))
    ]
