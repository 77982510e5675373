"""Text that is put into PromQL. Nothing from outside gets there by another way."""

import re

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ESCAPES = {"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


def quoted(text: str) -> str:
    """The text as a PromQL string, quotes included."""
    return '"' + "".join(_ESCAPES.get(letter, letter) for letter in text) + '"'


def is_metric(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def is_label(name: str) -> bool:
    return _LABEL.fullmatch(name) is not None


def selector(metric: str, *matchers: tuple[str, str, str]) -> str:
    """`metric{label="value", …}`; a matcher is (label, operator, value).

    Raises ValueError for what is no name of a metric or a label.
    """
    if metric and not is_metric(metric):
        raise ValueError(f"“{metric}” is no name of a metric")
    for label, _, _ in matchers:
        if not is_label(label):
            raise ValueError(f"“{label}” is no name of a label")
    inner = ",".join(f"{label}{operator}{quoted(value)}" for label, operator, value in matchers)
    return f"{metric}{{{inner}}}" if inner else metric


def seconds(count: int) -> str:
    """A duration, as in `rate(x[60s])`."""
    return f"{count}s"
