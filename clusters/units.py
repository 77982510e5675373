"""Docker's units of time, memory and CPU, to and from what people write."""

import re

_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def nanoseconds(text: str | int | float) -> int:
    """Go's duration syntax ("1m30s"), or a number of seconds, as nanoseconds. Raises ValueError."""
    if isinstance(text, int | float):
        return round(text * 10**9)
    text = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return round(float(text) * 10**9)
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"“{text}” is not a duration: write it as 10s, 1m30s or 500ms")
    return round(sum(float(number) * _NS[unit] for number, unit in parts))


def duration(ns: int | None) -> str:
    """Nanoseconds as people write them: "1m30s", "500ms", "0s"."""
    if not ns:
        return "0s"
    text, rest = "", ns
    for unit in ("h", "m", "s", "ms", "us", "ns"):
        count, rest = divmod(rest, _NS[unit])
        text += f"{count}{unit}" if count else ""
    return text


def memory_bytes(text: str | int) -> int:
    """Docker's memory syntax (binary units: "512M" is 512 × 2²⁰) as bytes. Raises ValueError."""
    if isinstance(text, int):
        return text
    found = _MEMORY.fullmatch(text.strip())
    if not found:
        raise ValueError(f"“{text}” is not an amount of memory: write it as 512M or 2G")
    return round(float(found[1]) * 1024 ** _POWERS[found[2].lower()])


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
