"""Since when a service is unwell, and when it has got over it."""

from datetime import UTC, datetime, timedelta

from clusters.inventory.trouble import Past, become, over_it, remembered

START = datetime(2026, 1, 1, tzinfo=UTC)


def story(*steps: tuple[int, str]) -> Past:
    """The service after (second, health), one after the other."""
    past: Past | None = None
    for second, health in steps:
        past = become(past, "shop_web", "shop", health, at(second))
    assert past is not None
    return past


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def test_a_service_that_runs_is_well() -> None:
    assert story((0, "running")).unwell_since is None


def test_a_service_that_only_takes_its_time_to_start_has_nothing_to_get_over() -> None:
    assert story((0, "running"), (5, "starting")).unwell_since == at(5)
    assert story((0, "running"), (5, "starting"), (9, "running")).unwell_since is None


def test_a_crash_loop_is_one_trouble_from_its_first_failure() -> None:
    loop = [(5 + n, "failing" if n % 2 == 0 else "running") for n in range(40)]
    past = story((0, "running"), *loop)
    assert past.unwell_since == at(5)
    assert past.unstable
    assert not story((0, "running"), *loop, (50, "failing")).unstable, "failing says more"


def test_it_is_over_once_it_has_run_for_a_minute() -> None:
    past = story((0, "failing"), (10, "starting"), (12, "running"))
    assert list(over_it({"id": past}, at(71))) == []
    ((key, now),) = over_it({"id": past}, at(72))
    assert (key, now.unwell_since, now.well_since) == ("id", None, None)
    assert become(now, "shop_web", "shop", "failing", at(80)).unwell_since == at(80)


def test_a_rollout_is_no_time_in_which_it_ran() -> None:
    past = story((0, "failing"), (10, "updating"), (100, "running"))
    assert (past.unwell_since, past.well_since) == (at(0), at(100))
    assert story((0, "failing"), (10, "updating")).recovered(at(200)) is False


def test_a_change_of_words_alone_starts_nothing_anew() -> None:
    past = story((0, "failing"), (10, "pending"), (20, "paused"), (30, "failing"))
    assert past.unwell_since == at(0)


def test_a_watcher_that_is_replaced_remembers() -> None:
    past = story((0, "failing"), (10, "running"))
    again = remembered(past.name, past.stack, past.health, past.unwell_since, past.well_since)
    assert again == past
