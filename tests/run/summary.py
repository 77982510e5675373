"""The table at the end."""

from collections.abc import Mapping

from tests.run.outcome import Outcome

HEADER = f"{'stage':<14}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}"


def summary(outcomes: Mapping[str, Outcome], *, ci: bool) -> tuple[list[str], bool]:
    """The lines to print, and whether all is well. The last line holds the totals alone."""
    total = Outcome()
    lines = ["", HEADER]
    for name, outcome in outcomes.items():
        lines.append(_row(name, outcome))
        total.add(outcome)
    lines += ["", *_did_not_run(total, ci=ci)]
    judged = total.strict() if ci else total
    lines.append(f"{judged.passed} passed, {judged.failed} failed, {len(judged.skips)} skipped")
    return lines, judged.failed == 0


def _row(name: str, outcome: Outcome) -> str:
    counts = f"{outcome.passed:>8}{outcome.failed:>8}{len(outcome.skips):>9}"
    remark = "  absent" if outcome.absent and not outcome.passed + outcome.failed else ""
    return f"{name:<14}{counts}{outcome.seconds:>9.1f}{remark}"


def _did_not_run(total: Outcome, *, ci: bool) -> list[str]:
    lines = [f"skipped {skip.name}: {skip.reason}" for skip in total.skips]
    lines += [f"absent  {folder}: no tests there" for folder in total.absent]
    if lines and ci:
        lines.append("CI is set: what did not run counts as failed.")
    return [*lines, ""] if lines else []
