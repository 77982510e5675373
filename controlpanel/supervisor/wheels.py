"""Programs that come inside wheels."""

from importlib.util import find_spec
from pathlib import Path

from controlpanel.supervisor.failures import CannotStart


def wheel_folder(package: str) -> Path:
    """The folder of an installed package, found without importing (and so running) it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise CannotStart(
            f"The package {package} is not installed. `make run` installs it; in production set "
            "DATABASE_URL and CELERY_BROKER_URL, and start the processes one by one."
        )
    return Path(spec.origin).parent
