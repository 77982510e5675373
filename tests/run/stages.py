"""The stages, in the order in which they begin: quick ones first, then the longest."""

import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
MANAGE = (sys.executable, "manage.py")

# `check --deploy` judges settings as a production server has them.
PRODUCTION = {
    "PILOTHOUSE_SECRET_KEY": secrets.token_urlsafe(60),
    "PILOTHOUSE_HTTPS": "true",
    "PILOTHOUSE_ALLOWED_HOSTS": "panel.example.org",
    "PILOTHOUSE_TRUSTED_ORIGINS": "https://panel.example.org",
}


@dataclass(frozen=True)
class Tool:
    """Commands that each must end with status 0; their output is shown if one does not."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    alone: bool = True


@dataclass(frozen=True)
class Suite:
    """Folders of tests for one run of pytest, with a PostgreSQL in DATABASE_URL.

    `alone`: nothing runs beside it, because it takes the whole machine. `packaged` asks for the
    system's PostgreSQL instead of the wheel's. `newer_engine` runs the tests of real engines and
    no others, on one of this major version instead of the machine's own.
    """

    name: str
    folders: tuple[str, ...]
    alone: bool = False
    packaged: bool = False
    newer_engine: int | None = None

    @property
    def options(self) -> tuple[str, ...]:
        return ("-m", "engine") if self.newer_engine else ()

    @property
    def environment(self) -> dict[str, str]:
        return {"PILOTHOUSE_ENGINE": str(self.newer_engine)} if self.newer_engine else {}


Stage = Tool | Suite


def _bin(name: str, *arguments: str) -> tuple[str, ...]:
    return (str(BIN / name), *arguments)


def templates() -> tuple[str, ...]:
    return tuple(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("templates/**/*.html")))


def format_templates(*options: str) -> tuple[str, ...]:
    return _bin("djade", "--target-version", "5.2", *options, *templates())


def stages() -> tuple[Stage, ...]:
    return (
        Tool("lint", (_bin("ruff", "check", "--quiet", "."),
                      _bin("ruff", "format", "--check", "--quiet", "."),
                      format_templates("--check"))),
        Tool("types", (_bin("mypy", "."),)),
        Tool("imports", (_bin("lint-imports"),)),
        Tool("dependencies", (_bin("deptry", "."),)),
        Tool("migrations", ((*MANAGE, "makemigrations", "--check", "--dry-run"),)),
        Tool("deployment", ((*MANAGE, "check", "--deploy", "--fail-level", "WARNING"),),
             PRODUCTION),
        Suite("integration", ("tests/integration",), packaged=True),
        Suite("unit", ("tests/unit",)),
        Suite("looking", ("tests/browser/looking",)),
        Suite("doing", ("tests/browser/doing",)),
        Suite("contract", ("tests/contract", "tests/simulator", "tests/metrics")),
        Suite("engine-28", ("tests/contract", "tests/integration/test_lossless.py"),
              newer_engine=28),
        Suite("commands", ("tests/supervisor", "tests/run")),
        Suite("lab", ("tests/lab",), alone=True),
    )  # fmt: skip


def unclaimed_folders(root: Path = ROOT) -> list[str]:
    """Folders with tests that no stage runs."""
    claimed = {folder for stage in stages() if isinstance(stage, Suite) for folder in stage.folders}
    found = {file.parent.relative_to(root) for file in (root / "tests").rglob("test_*.py")}
    return sorted(str(folder) for folder in found if not claimed & _and_above(folder))


def _and_above(folder: Path) -> set[str]:
    return {str(folder), *map(str, folder.parents)}
