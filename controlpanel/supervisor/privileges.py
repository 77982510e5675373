"""How a command is wrapped before it starts: tied to our life, and not as root where it must not.

`setpriv` and `unshare` are util-linux's, which every Debian and Ubuntu has.
"""

import functools
import os
import pwd
import signal
import subprocess
from pathlib import Path

Command = tuple[str, ...]
NOBODY = pwd.getpwnam("nobody")


def tethered(command: Command, death_signal: signal.Signals) -> Command:
    """The command, to which the kernel sends `death_signal` when the supervisor dies."""
    return ("setpriv", f"--pdeathsig={death_signal.name.removeprefix('SIG')}", "--", *command)


def without_root(command: Command) -> Command:
    """The command for a program that refuses to run as root, as PostgreSQL does.

    For an ordinary user that is the command itself. Root runs it in a user namespace where root
    is called nobody: the files stay root's, so a checkout below /root works and no user has to be
    made. Where namespaces are forbidden (most containers) it runs as the user nobody; the caller
    asks `file_owner` whom its files must belong to.
    """
    if os.geteuid() != 0:
        return command
    names = (f"--map-user={NOBODY.pw_uid}", f"--map-group={NOBODY.pw_gid}")
    if has_user_namespaces():
        return ("unshare", "--user", *names, "--", *command)
    return ("setpriv", *_as_nobody(), "--", *command)


def file_owner() -> tuple[int, int]:
    """The user and group that own the files of a program started `without_root`."""
    if os.geteuid() == 0 and not has_user_namespaces():
        return NOBODY.pw_uid, NOBODY.pw_gid
    return os.geteuid(), os.getegid()


def reachable(path: Path) -> bool:
    """Whether a program started `without_root` can get to the path."""
    if file_owner()[0] == os.geteuid():
        return True
    return _succeeds("setpriv", *_as_nobody(), "--", "test", "-r", str(path))


def _as_nobody() -> Command:
    return (f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups")


@functools.cache
def has_user_namespaces() -> bool:
    """Whether the kernel lets us make a user namespace."""
    return _succeeds("unshare", "--user", f"--map-user={NOBODY.pw_uid}", "--", "true")


def _succeeds(*command: str) -> bool:
    trial = subprocess.run(command, check=False, capture_output=True, timeout=10)  # noqa: S603
    return trial.returncode == 0
