"""No secret in a log: what looks like one is taken out of every line, tracebacks included."""

import logging
import re

HIDDEN = "•••"
SECRETS = (
    # One-time sign-in links: their secret is in the address, which Django logs when it refuses.
    (re.compile(r"(/sign-in/link/)[^/\s\"']+"), rf"\1{HIDDEN}"),
    (re.compile(r"\bph_[A-Za-z0-9_-]{16,}"), f"ph_{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer\s+)[^\s\"',]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)([?&;](?:token|access_token|api_key|key|secret|password)=)[^&\s\"']+"),
     rf"\1{HIDDEN}"),
    # A URL's password, of the database or the broker.
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s:/@\"']*:)[^\s@/\"']+(@)"), rf"\1{HIDDEN}\2"),
)  # fmt: skip


def redacted(text: str) -> str:
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


class Formatter(logging.Formatter):
    """The last step before a line leaves the process."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))
