"""What became of a stage."""

from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree


@dataclass(frozen=True)
class Skip:
    """A test that did not run, and why."""

    name: str
    reason: str


@dataclass
class Outcome:
    """Counts of tests; a tool such as the linter counts as one test."""

    passed: int = 0
    failed: int = 0
    skips: list[Skip] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)  # folders that should hold tests
    seconds: float = 0.0

    def add(self, other: "Outcome") -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skips += other.skips
        self.absent += other.absent
        self.seconds += other.seconds

    def strict(self) -> "Outcome":
        """On CI whatever did not run has failed: nothing may vanish unnoticed."""
        missing = len(self.skips) + len(self.absent)
        return Outcome(self.passed, self.failed + missing, [], [], self.seconds)


def read_report(report: Path, status: int) -> Outcome:
    """The outcome of a pytest run by its JUnit report and exit status.

    A run that ended badly without a failed test (a crash, an error in a conftest) is a failure.
    """
    outcome = Outcome()
    if report.exists():
        for case in ElementTree.parse(report).iter("testcase"):
            _count(case, outcome)
    if status != 0 and not outcome.failed:
        outcome.failed = 1
    return outcome


def _count(case: ElementTree.Element, outcome: Outcome) -> None:
    skipped = case.find("skipped")
    if case.find("failure") is not None or case.find("error") is not None:
        outcome.failed += 1
    elif skipped is not None:
        name = f"{case.get('classname', '')}.{case.get('name', '')}"
        outcome.skips.append(Skip(name, skipped.get("message", "")))
    else:
        outcome.passed += 1
