"""The image's entry point: one process a container.

    python -m controlpanel.supervisor.container web | watcher | worker | beat | prepare | healthy

`prepare` migrates and makes the first admin; `healthy` asks the web process of this container.
Secrets come as files: `DATABASE_URL_FILE=/run/secrets/database_url` sets DATABASE_URL.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from controlpanel.supervisor.address import Address
from controlpanel.supervisor.plan import panel_commands
from controlpanel.supervisor.readiness import page_answers

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - the container's network decides who reaches it
PORT = 8000
BEAT_SCHEDULE = Path("/tmp/beat-schedule")  # noqa: S108 - a container's own; may be lost
SECRETS = (
    "DATABASE_URL", "CELERY_BROKER_URL", "PILOTHOUSE_SECRET_KEY", "PILOTHOUSE_ADMIN_PASSWORD",
    "PILOTHOUSE_OIDC_CLIENT_SECRET", "PILOTHOUSE_METRICS_TOKEN", "PROMETHEUS_TOKEN",
    "PROMETHEUS_PASSWORD",
)  # fmt: skip


def secrets_from_files(environment: Mapping[str, str]) -> dict[str, str]:
    """The values of the secrets that the environment names a file for."""
    return {
        name: Path(environment[f"{name}_FILE"]).read_text().strip()
        for name in SECRETS
        if environment.get(f"{name}_FILE")
    }


def main() -> None:
    commands = {
        **panel_commands(EVERY_ADDRESS, PORT, BEAT_SCHEDULE),
        "prepare": ("manage.py", "prepare_database"),
    }
    asked = sys.argv[1] if len(sys.argv) == 2 else ""
    if asked == "healthy":
        sys.exit(0 if _healthy() else 1)
    if asked not in commands:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    os.environ.update(secrets_from_files(os.environ))
    os.execv(sys.executable, [sys.executable, *commands[asked]])  # noqa: S606 - no shell is wanted


def _healthy() -> bool:
    allowed = os.environ.get("PILOTHOUSE_ALLOWED_HOSTS", "").split(",")
    address = Address(EVERY_ADDRESS, PORT, [host for host in allowed if host])
    return page_answers(f"{address.url}/readyz", address.host_header)


if __name__ == "__main__":
    main()
