"""Docker's units of time, memory and CPU, to and from what people write."""

import math
import re
from decimal import Decimal
from typing import Any

_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", re.ASCII)
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE | re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def _is_number(value: Any) -> bool:
    """Whether it is a number to calculate with; JSON's true is none, though Python's is."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def nanoseconds(text: Any) -> int:
    """Go's duration syntax ("1m30s"), or a number of seconds, as nanoseconds. Raises ValueError."""
    if _is_number(text):
        return round(text * 10**9)
    written = text.strip() if isinstance(text, str) else ""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", written):
        written += "s"
    parts = _DURATION_PART.findall(written)
    if not parts or "".join(number + unit for number, unit in parts) != written:
        raise ValueError(f"“{text}” is not a duration: write it as 10s, 1m30s or 500ms")
    return round(sum(Decimal(number) * _NS[unit] for number, unit in parts))


def duration(ns: int | None) -> str:
    """Nanoseconds as people write them: "1m30s", "500ms", "0s"."""
    if not ns:
        return "0s"
    text, rest = "", ns
    for unit in ("h", "m", "s", "ms", "us", "ns"):
        count, rest = divmod(rest, _NS[unit])
        text += f"{count}{unit}" if count else ""
    return text


def memory_bytes(text: Any) -> int:
    """Docker's memory syntax (binary units: "512M" is 512 × 2²⁰) as bytes. Raises ValueError."""
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    found = _MEMORY.fullmatch(text.strip()) if isinstance(text, str) else None
    if not found:
        raise ValueError(f"“{text}” is not an amount of memory: write it as 512M or 2G")
    return round(Decimal(found[1]) * 1024 ** _POWERS[found[2].lower()])


def memory(count: int | None) -> str:
    """Bytes as the shortest exact binary amount: "512M", "1.5G", "1000" for odd ones."""
    if not count:
        return "0"
    for unit in ("T", "G", "M", "K"):
        size = 1024 ** _POWERS[unit.lower()]
        if count >= size and (count * 4) % size == 0:
            return f"{count / size:g}{unit}"
    return str(count)


def nano_cpus(cpus: float) -> int:
    """CPUs ("1.5") as the Engine's NanoCPUs."""
    return round(cpus * 10**9)


def cpus(nano: int | None) -> str:
    """NanoCPUs as people write them: "1.5"."""
    return f"{(nano or 0) / 10**9:g}"
