"""What a person can set or run is documented, and what is documented exists."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CODE = [ROOT / "controlpanel" / "settings.py", *(ROOT / "controlpanel" / "supervisor").glob("*.py")]
# Told from one of our processes to another, not by people.
INTERNAL = {"PILOTHOUSE_SETUP_SECONDS", "PILOTHOUSE_UP_SINCE"}
VARIABLE = re.compile(
    r"\b(PILOTHOUSE_[A-Z_]+[A-Z]|PROMETHEUS_[A-Z_]+[A-Z]|DATABASE_URL|CELERY_BROKER_URL|REDIS_URL|DOCKER_HOST)\b"
)


def variables(*paths: Path) -> set[str]:
    return {name for path in paths for name in VARIABLE.findall(path.read_text())} - INTERNAL


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    assert variables(ROOT / "docs" / "configuration.md") == variables(*CODE)


def test_every_make_target_that_contributing_names_exists() -> None:
    named = set(re.findall(r"^make ([a-z-]+)", (ROOT / "CONTRIBUTING.md").read_text(), re.M))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert named
    assert named <= targets


def test_every_link_of_the_documents_leads_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("benchmarks/*.md")]
    for document in documents:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_architecture_names_every_package() -> None:
    architecture = (ROOT / "ARCHITECTURE.md").read_text()
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert {name for name in packages if f"{name}/" not in architecture} == set()
