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


# What would begin a line of its own, or move a terminal's cursor: an engine or a client said it.
CONTROL = {
    code: chr(code).encode("unicode_escape").decode()
    for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
}


class Formatter(logging.Formatter):
    """The last step before a line leaves the process. A message is one line."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = record.message.translate(CONTROL)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))
