"""`python -m tests.run [STAGE …]`: run all stages, or those named.

Ends with a table, the tests that did not run and why, and the totals as the last line. The exit
status is 0 only if nothing failed; with CI=true a test that did not run has failed.
"""

import argparse
import os
import subprocess
import sys

from lab import system
from tests.run.execute import execute_all
from tests.run.outcome import Outcome
from tests.run.stages import ROOT, format_templates, stages, unclaimed_folders
from tests.run.summary import summary

PACKAGES = (
    "busybox-static", "chromium", "docker.io", "fonts-dejavu-core", "iproute2", "iptables",
    "openssh-server", "postgresql", "prometheus", "rabbitmq-server", "redis-server",
)  # fmt: skip


def main() -> int:
    known = {stage.name: stage for stage in stages()}
    parser = argparse.ArgumentParser(prog="python -m tests.run", description=__doc__)
    parser.add_argument("stages", nargs="*", choices=[*known, []], metavar="STAGE")
    parser.add_argument("--format-templates", action="store_true", help="and nothing else")
    arguments = parser.parse_args()
    if arguments.format_templates:
        return subprocess.call(format_templates(), cwd=ROOT)
    if not arguments.stages:
        system.provide(*PACKAGES)
    chosen = [known[name] for name in arguments.stages] or list(known.values())
    outcomes = execute_all(chosen)
    if not arguments.stages and (unclaimed := unclaimed_folders()):
        print("No stage runs the tests in", *unclaimed)
        outcomes["unclaimed"] = Outcome(failed=len(unclaimed))
    lines, well = summary(outcomes, ci=os.environ.get("CI", "").lower() in ("1", "true"))
    print("\n".join(lines), flush=True)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
