"""axe-core, which finds what somebody could not read or reach in a page."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page) -> list[str]:
    """What it finds in a page that AXE was evaluated in."""
    found: Any = page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)
    return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found["violations"]]
