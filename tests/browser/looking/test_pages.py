"""Rules of every page in a real browser, on a simulated Swarm: reachable, readable, and honest."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.axe import AXE, violations
from tests.browser.operating import Person
from tests.browser.simulated import panel, person
from tests.supervisor.panel import Panel

pytestmark = pytest.mark.browser

__all__ = ["panel", "person"]
SERVICES = "/clusters/simulated/services/"
WEB = f"{SERVICES}shop_web/"
SECRETS = "/clusters/simulated/secrets/"
CONFIG = "/clusters/simulated/configs/sutazai_haproxy.cfg"
PAGES = [
    "/",
    "/wall/",
    "/wall/?theme=light",
    "/operations/",
    "/audit/",
    "/audit/?actor=nobody",
    "/account/",
    "/account/password/",
    "/account/tokens/",
    "/access/",
    "/access/people/admin/",
    "/access/people/admin/rights/",
    "/access/groups/",
    "/access/grants/",
    "/access/who/?action=service.scale&place=simulated/shop",
    "/access/roles/",
    "/access/tokens/",
    "/access/protections/",
    "/access/emergencies/",
    "/clusters/new/",
    "/clusters/simulated/",
    "/clusters/simulated/metrics/",
    "/clusters/simulated/timeline/",
    "/clusters/simulated/timeline/?range=24h&stack=shop",
    "/clusters/simulated/metrics/panels/",
    "/clusters/simulated/metrics/source/",
    "/clusters/simulated/stacks/shop/metrics/",
    SERVICES,
    f"{SERVICES}?group=stack&sort=-replicas",
    f"{SERVICES}?q=nothing+is+called+so",
    WEB,
    f"{WEB}timeline/",
    f"{WEB}timeline/?range=7d&kind=operation",
    f"{WEB}logs/",
    f"{WEB}metrics/",
    f"{WEB}configuration/",
    f"{WEB}spec/",
    f"{WEB}revisions/",
    f"{WEB}operations/",
    f"{WEB}scale/",
    f"{WEB}update/",
    f"{WEB}rollback/",
    f"{WEB}restart/",
    SECRETS,
    f"{SECRETS}sutazai_pg_password/",
    "/clusters/simulated/configs/",
    f"{CONFIG}/",
    f"{CONFIG}/compare/?with=sutazai_prometheus.yml",
    f"{CONFIG}/compare/?with=sutazai_prometheus.yml&view=split",
    f"{CONFIG}/rotate/",
    "/clusters/simulated/new-config/",
    "/nowhere/",
]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_accessible_in_both_themes_and_widths(person: Person, path: str) -> None:
    page = person.page
    page.goto(person.panel.url + path)
    page.evaluate(AXE)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert violations(person.page) == [], (theme, width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (theme, width)


@pytest.mark.parametrize(
    "path",
    [
        "/access/",
        "/access/people/admin/",
        "/access/grants/",
        "/access/roles/",
        SECRETS,
        f"{SECRETS}sutazai_pg_password/",
        "/clusters/simulated/configs/",
        f"{WEB}logs/",
    ],
)
def test_nothing_lies_beyond_the_edge_of_a_telephone(person: Person, path: str) -> None:
    person.page.set_viewport_size({"width": 390, "height": 844})
    person.page.goto(person.panel.url + path)
    cut = "all => all.filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.className)"
    assert person.page.locator(".table-wrap, .tabs, .place-nav").evaluate_all(cut) == []


def test_every_page_keeps_to_its_own_policy(browser: Browser, panel: Panel) -> None:
    person = Person(browser, panel)
    said: list[str] = []
    person.page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    person.page.on("pageerror", lambda error: said.append(f"error: {error}"))
    for path in PAGES[:-1]:
        person.open(path)
        assert not any(line.startswith(("error", "warning")) for line in said), (path, said)
    person.page.goto(f"{panel.url}/docs")
    expect(person.page.get_by_text("/api/v1/audit/verify")).to_be_visible()
    person.context.close()
    assert not any(line.startswith(("error", "warning")) for line in said), said


def test_an_accessible_dialog_opens_and_gives_the_focus_back(person: Person) -> None:
    page = person.open(WEB).page
    page.evaluate(AXE)
    person.act("Scale")
    expect(page.get_by_label("Replicas")).to_be_focused()
    assert violations(person.page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Scale", exact=True)).to_be_focused()


def test_a_double_click_asks_once_and_leaves_no_dialog(person: Person) -> None:
    page = person.open(WEB).page
    person.act("Scale")
    page.get_by_label("One more").click()
    person.preview()
    sent: list[str] = []
    page.on("requestfinished", lambda request: sent.append(request.method))
    person.dialog.get_by_role("button", name="Scale shop_web").dblclick()
    expect(page.get_by_text("Scale of shop_web was asked for")).to_be_visible()
    expect(person.dialog).to_have_count(0)
    page.wait_for_load_state("networkidle")
    assert sent.count("POST") == 1


def test_everything_is_reached_by_keys(person: Person) -> None:
    page = person.open(SERVICES).page
    page.keyboard.press("/")
    expect(page.locator("main [name=q]")).to_be_focused()
    page.keyboard.type("web")
    expect(page.locator("tr[id^=service-]")).to_have_count(1)
    assert page.url.endswith("?q=web")
    page.keyboard.press("Control+k")
    page.keyboard.type("scale shop_web")
    expect(page.locator("#palette [aria-selected=true]")).to_contain_text("Scale shop_web")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Replicas")).to_be_focused()


def test_a_secrets_value_stays_in_the_dialog_and_nowhere_else(
    person: Person, tmp_path: Path
) -> None:
    page = person.open(SECRETS).page
    page.get_by_role("link", name="Create a secret").click()
    create = person.dialog.get_by_role("button", name="Create", exact=True)
    value, file = person.dialog.locator("[name=value]"), person.dialog.locator("[name=file]")
    person.dialog.locator("[name=name]").fill("not a name")
    value.fill("a long value")
    with page.expect_response("**/new-secret/") as answer:
        create.click()
    expect(person.dialog.locator(".errorlist")).to_contain_text("A name has at most")
    expect(value).to_have_value("a long value")
    assert "a long value" not in answer.value.text()

    value.fill("")
    (tmp_path / "key.pem").write_text("key")
    file.set_input_files(tmp_path / "key.pem")
    person.dialog.locator("[name=name]").fill("")
    create.click()
    expect(person.dialog.locator(".errorlist")).to_contain_text("required")
    expect(file).to_have_value(re.compile(r"key\.pem$"))
    page.keyboard.press("Escape")
    expect(person.dialog).to_have_count(0)
    page.get_by_role("link", name="Create a secret").click()
    expect(value).to_have_value("")
    expect(file).to_have_value("")


def test_two_configs_are_compared_at_a_click(person: Person) -> None:
    page = person.open(f"{CONFIG}/compare/").page
    expect(page.get_by_role("heading", name="Choose the config")).to_be_visible()
    page.get_by_label("From").select_option("sutazai_prometheus.yml")
    page.get_by_label("Shown").select_option("split")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("table.text-split")).to_be_visible()
    assert page.url.endswith("?with=sutazai_prometheus.yml&view=split")


def test_arrows_move_through_the_matrix_and_show_each_task(person: Person) -> None:
    page = person.open(WEB).page
    page.locator(".cells a.cell").first.focus()
    expect(page.locator("#task-detail h2")).to_contain_text("shop_web.1")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#task-detail h2")).to_contain_text("shop_web.2")


def test_a_change_elsewhere_keeps_focus_and_open_menus(browser: Browser, person: Person) -> None:
    page = person.open(WEB).page
    page.locator("#tray > button").click()
    cells = page.locator(".cells .cell-running")
    before = cells.count()
    other = Person(browser, person.panel).open(WEB)
    other.act("Scale")
    other.page.get_by_label("Replicas").fill(str(before + 2))
    other.preview()
    other.confirm("Scale")
    expect(cells).to_have_count(before + 2)
    expect(page.locator("#tray-panel")).to_be_visible()
    other.context.close()
    assert person.loads == 0


def test_logs_are_lines_with_their_task_and_node(person: Person) -> None:
    page = person.open(f"{WEB}logs/").page
    expect(page.locator(".log-line").first).to_be_visible()
    expect(page.locator(".log-tag").first).to_contain_text("shop_web.")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("[data-state-text]")).to_contain_text("Paused")


def test_the_indicator_says_since_when_the_panel_is_away(browser: Browser, panel: Panel) -> None:
    person = Person(browser, panel)
    closed = person.with_a_socket_to_cut()
    live = person.open(SERVICES).page.locator("#live")
    closed["now"] = True
    expect(live).to_have_attribute("data-state", "stale")
    expect(live).to_contain_text("Stale since")
    closed["now"] = False
    expect(live).to_have_attribute("data-state", "live")
    person.context.close()
