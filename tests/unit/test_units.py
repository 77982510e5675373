"""Docker's units, read from what people write and written back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters import units

SECOND = 10**9


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("10s", 10 * SECOND),
        ("1m30s", 90 * SECOND),
        ("500ms", SECOND // 2),
        ("1h", 3600 * SECOND),
        ("0.5s", SECOND // 2),
        ("5us", 5_000),
        ("5µs", 5_000),
        ("7ns", 7),
        (" 10s ", 10 * SECOND),
        ("10", 10 * SECOND),
        (10, 10 * SECOND),
        (1.5, 3 * SECOND // 2),
        ("0", 0),
        (0, 0),
    ],
)
def test_durations_are_read(text: Any, nanoseconds: int) -> None:
    assert units.nanoseconds(text) == nanoseconds


NO_AMOUNTS: list[Any] = [
    "",
    "s",
    "10 years",
    "ten",
    "1s 30m x",
    "-5s",
    "1e3s",
    "١s",
    float("inf"),
    float("nan"),
    True,
    None,
    [],
    {},
    b"10s",
]


@pytest.mark.parametrize("text", NO_AMOUNTS)
def test_what_is_no_duration_is_refused_in_words(text: Any) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        units.nanoseconds(text)


@pytest.mark.parametrize("text", [*NO_AMOUNTS, "12Q", "1.2.3G", 1.5])
def test_what_is_no_amount_of_memory_is_refused_in_words(text: Any) -> None:
    with pytest.raises(ValueError, match="not an amount of memory"):
        units.memory_bytes(text)


@given(st.integers(0, 400 * 86400 * SECOND))
def test_a_duration_reads_back_as_it_was_written(ns: int) -> None:
    assert units.nanoseconds(units.duration(ns)) == ns


@given(st.integers(1, 2**52))
def test_an_amount_of_memory_reads_back_as_it_was_written(count: int) -> None:
    assert units.memory_bytes(units.memory(count)) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("512M", 512 * 2**20),
        ("512mb", 512 * 2**20),
        ("512 MiB", 512 * 2**20),
        ("2G", 2 * 2**30),
        ("1.5g", 3 * 2**29),
        ("100", 100),
        ("100b", 100),
        (100, 100),
        ("1t", 2**40),
    ],
)
def test_memory_is_read_in_binary_units(text: Any, count: int) -> None:
    assert units.memory_bytes(text) == count


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (None, "0"), (2**29, "512M"), (3 * 2**29, "1.5G"), (1000, "1000")]
)
def test_memory_is_written_short_and_exact(count: int | None, text: str) -> None:
    assert units.memory(count) == text


@pytest.mark.parametrize(
    ("ns", "text"), [(None, "0s"), (0, "0s"), (90 * SECOND, "1m30s"), (SECOND // 2, "500ms")]
)
def test_durations_are_written_as_go_does(ns: int | None, text: str) -> None:
    assert units.duration(ns) == text


@given(st.integers(0, 10_000 * 100))
def test_cpus_read_back_as_they_were_written(hundredths: int) -> None:
    nano = units.nano_cpus(hundredths / 100)
    assert nano == hundredths * 10**7
    assert units.nano_cpus(float(units.cpus(nano))) == nano
