"""Run a command beside a PostgreSQL: `python -m tests.servers pytest tests/unit`.

The command finds it in DATABASE_URL. With `--packaged` it is the system's, else the wheel's.
"""

import os
import subprocess
import sys

from tests.servers.postgresql import embedded_postgresql, packaged_postgresql, packaged_programs


def main() -> int:
    arguments = sys.argv[1:]
    packaged = packaged_programs() if arguments[:1] == ["--packaged"] else None
    command = arguments[1:] if packaged else arguments
    with packaged_postgresql(packaged) if packaged else embedded_postgresql() as url:
        return subprocess.call(command, env={**os.environ, "DATABASE_URL": url})


if __name__ == "__main__":
    sys.exit(main())
