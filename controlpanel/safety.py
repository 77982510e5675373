"""What is unsafe about the settings: in production, no process starts with it.

`PILOTHOUSE_HTTPS` says that this is production: people reach the panel over a network. A broker or
an engine that anybody on the network can use is refused in any case. All that is wrong is said at
once, each with the way out.
"""

import ipaddress
import logging
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

log = logging.getLogger(__name__)

SHORTEST_KEY = 50  # characters
FEWEST_DIFFERENT = 10
SHORTEST_TOKEN = 20  # characters, of the metrics token
PLACEHOLDERS = ("django-insecure-", "change", "secret", "example", "placeholder")
BY_SOCKET = ("redis+socket", "unix", "memory", "filesystem")


@dataclass(frozen=True, slots=True)
class Danger:
    """`name` is what PILOTHOUSE_ACCEPTED_RISKS calls it; `always` holds outside production too."""

    name: str
    what: str
    way_out: str
    fatal: bool = True
    always: bool = False

    def __str__(self) -> str:
        return f"{self.what} {self.way_out}"


# Whoever accepts one of these has no panel to speak of.
NEVER_ACCEPTED = {"debug", "secret-key"}


def refuse_unsafe(*, leave_out: frozenset[str] = frozenset()) -> None:
    """End the process if its settings are unsafe, saying why; warn of what is only unwise."""
    if refused := _refused(leave_out):
        listed = "\n".join(f"  - {danger.name}: {danger}" for danger in refused)
        raise SystemExit(f"Pilothouse does not start with unsafe settings:\n{listed}")


def _refused(leave_out: frozenset[str]) -> list[Danger]:
    """What forbids a start; the rest is logged."""
    refused = []
    for danger in dangers():
        if danger.name in leave_out or not (danger.always or settings.HTTPS):
            continue
        if danger.fatal and not _accepted(danger):
            refused.append(danger)
        else:
            log.warning("Unsafe: %s", danger)
    return refused


def _accepted(danger: Danger) -> bool:
    return danger.name in settings.ACCEPTED_RISKS and danger.name not in NEVER_ACCEPTED


def _as_check(danger: Danger) -> CheckMessage:
    kind = Error if danger.fatal else Warning
    return kind(danger.what, hint=danger.way_out, id=f"pilothouse.{danger.name}")


@register("safety")
def check_before_start(**_: Any) -> list[CheckMessage]:
    """For commands that serve: what `refuse_unsafe` refuses, but for a key that may be made."""
    leave_out = frozenset() if settings.HTTPS else frozenset({"secret-key"})
    return [_as_check(danger) for danger in _refused(leave_out)]


@register(Tags.security, deploy=True)
def check_settings(**_: Any) -> list[CheckMessage]:
    """The same for `manage.py check --deploy`."""
    return [_as_check(danger) for danger in dangers() if not _accepted(danger)]


def dangers() -> list[Danger]:
    return [
        *_of_the_web(),
        *_of_the_metrics(),
        *_of_the_broker(),
        *of_the_database(settings.DATABASES["default"]),
        *_of_the_engine(),
        *_of_files(),
    ]


def _of_the_web() -> Iterator[Danger]:
    if settings.DEBUG:
        yield Danger("debug", "PILOTHOUSE_DEBUG is on: errors show the panel's insides.",
                     "Leave it out.")  # fmt: skip
    yield from _of_the_key()
    if any(host in ("*", ".") for host in settings.ALLOWED_HOSTS):
        yield Danger(
            "allowed-hosts",
            "PILOTHOUSE_ALLOWED_HOSTS allows every host: a forged Host header passes.",
            "Name the hosts under which people reach the panel.",
        )
    plain = [origin for origin in settings.CSRF_TRUSTED_ORIGINS if _is_plain(origin)]
    if plain:
        yield Danger(
            "trusted-origins",
            f"PILOTHOUSE_TRUSTED_ORIGINS trusts pages that came unencrypted: {', '.join(plain)}.",
            "Write https:// instead.",
        )


def _of_the_key() -> Iterator[Danger]:
    key = settings.SECRET_KEY
    how = (
        "Set PILOTHOUSE_SECRET_KEY to at least 50 random characters, the same for every process:"
        " see docs/configuration.md."
    )
    if not settings.SECRET_KEY_GIVEN:
        yield Danger("secret-key", "There is no secret key.", how, always=True)
    elif len(key) < SHORTEST_KEY or len(set(key)) < FEWEST_DIFFERENT:
        yield Danger("secret-key", "PILOTHOUSE_SECRET_KEY can be guessed: it is too short.", how)
    elif key.lower().startswith(PLACEHOLDERS):
        yield Danger("secret-key", "PILOTHOUSE_SECRET_KEY is a placeholder.", how)


def _of_the_metrics() -> Iterator[Danger]:
    token = settings.METRICS_TOKEN
    if token and len(token) < SHORTEST_TOKEN:
        yield Danger(
            "metrics-token",
            "PILOTHOUSE_METRICS_TOKEN can be guessed: it is too short.",
            f"Give it at least {SHORTEST_TOKEN} random characters, or leave it out.",
        )


def _is_plain(origin: str) -> bool:
    return origin.startswith("http://") and not _is_near(urlsplit(origin).hostname)


def _of_the_broker() -> Iterator[Danger]:
    for url in filter(None, settings.CELERY_BROKER_URL.split(";")):
        parts = urlsplit(url)
        if parts.scheme in BY_SOCKET or _is_near(parts.hostname):
            continue
        where = f"{parts.scheme}://{parts.hostname}"
        guest = parts.scheme.endswith(("amqp", "amqps")) and parts.username in (None, "", "guest")
        if not parts.password or (guest and parts.password == "guest"):  # noqa: S105 - its default
            yield Danger(
                "broker",
                f"The broker {where} asks for no password of ours: anybody on the network can send"
                " it messages.",
                "Give it a password, and put it into CELERY_BROKER_URL.",
                always=True,
            )


def of_the_database(database: dict[str, Any]) -> Iterator[Danger]:
    host = str(database.get("HOST") or "")
    encrypted = ("require", "verify-ca", "verify-full")
    by_socket = not host or host.startswith(("/", "%2F"))
    if by_socket or _is_near(host) or database["OPTIONS"].get("sslmode") in encrypted:
        return
    yield Danger(
        "database",
        f"The connection to the database at {host} need not be encrypted.",
        "Add ?sslmode=verify-full to DATABASE_URL, unless the network between them is.",
        fatal=False,
    )


def _of_the_engine() -> Iterator[Danger]:
    parts = urlsplit(settings.DOCKER_HOST)
    if parts.scheme in ("tcp", "http") and not _is_near(parts.hostname):
        yield Danger(
            "docker-host",
            f"DOCKER_HOST is {parts.scheme}://{parts.hostname}, an engine without TLS: who is on"
            " the network is root there.",
            "Use ssh://user@host, or register the engine in the panel with its certificates.",
            always=True,
        )


def _of_files() -> Iterator[Danger]:
    directory = settings.STATE_DIR
    for path in (
        directory,
        directory / "secret-key",
        directory / "environment",
        directory / "metrics-token",
    ):
        try:
            mode = path.stat().st_mode
        except OSError:
            continue  # not there, or not for us to see
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            yield Danger(
                "state-directory",
                f"{path} can be read or written by every user of this machine.",
                f"chmod o-rw {path}",
            )


def _is_near(host: str | None) -> bool:
    """On this machine; a name is not looked up, but for the one that everybody knows."""
    if not host or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
