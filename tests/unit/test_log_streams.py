"""Rules of merging logs, against streams in memory that keep the port's promises."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from clusters.logs import following
from clusters.logs.following import Follower
from clusters.logs.history import history
from clusters.logs.lines import LONGEST_LINE, MOST_STREAMS, Batch, Notice, Source, choose
from clusters.ports import EngineUnreachable, LogLine, ObjectMissing, Raw

SILENCE = "silence"  # in a script: say nothing more, and do not end


def source(number: int = 1, **of: object) -> Source:
    fields = {"node_ready": True, "tty": False, "ended": False, **of}
    return Source(f"t{number}", f"web.{number}", f"node-{number}", **fields)  # type: ignore[arg-type]


def said(at: int, text: str = "") -> LogLine:
    seconds, tenths = divmod(at, 10)
    stamp = f"2026-01-01T00:{seconds // 60:02}:{seconds % 60:02}.{tenths}00000000Z"
    return LogLine(stamp, "stdout", text or f"at {at}")


class ScriptedStreams:
    """Each opening of a task's log plays the next of its scripts; the last one repeats."""

    def __init__(self, **scripts: list[list[LogLine | str | Exception]]) -> None:
        self.scripts = scripts
        self.opened: list[dict[str, object]] = []
        self.open = 0

    async def events(self) -> AsyncIterator[Raw]:
        raise AssertionError("no events in these tests")
        yield {}

    async def task_log(
        self, task_id: str, *, tty: bool, tail: int | None, since: float, follow: bool
    ) -> AsyncIterator[LogLine]:
        self.opened.append({"task": task_id, "tail": tail, "since": since, "follow": follow})
        scripts = self.scripts[task_id]
        script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        self.open += 1
        try:
            for step in script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, str):
                    await asyncio.Event().wait()
                else:
                    yield step
        finally:
            self.open -= 1


@asynccontextmanager
async def following_of(
    streams: ScriptedStreams, *sources: Source, tail: int = 100
) -> AsyncIterator[tuple[Follower, AsyncIterator[Batch]]]:
    follower = Follower(streams, tail=tail, since=0)
    follower.update(sources)
    batches = follower.batches()
    try:
        yield follower, batches
    finally:
        await follower.close()
        assert streams.open == 0, "a stream outlived its follower"


async def until_text(batches: AsyncIterator[Batch], text: str) -> Batch:
    """Everything up to the batch that holds the text, as one."""
    whole = Batch()
    async with asyncio.timeout(20):
        async for batch in batches:
            whole.lines += batch.lines
            whole.notices += batch.notices
            if any(text in entry.text for entry in (*batch.lines, *batch.notices)):
                return whole
    raise AssertionError(text)


# --- What is read --------------------------------------------------------------------------------


def test_a_node_that_is_not_ready_is_named_once_and_not_asked() -> None:
    sources = [
        source(1),
        source(2, node_ready=False),
        replace(source(3), node="node-2", node_ready=False),
    ]
    chosen, notices = choose(sources)
    assert [s.task for s in chosen] == ["web.1"]
    assert [notice.node for notice in notices] == ["node-2"]


def test_tasks_beyond_the_limit_are_left_out_by_name() -> None:
    chosen, notices = choose([source(n) for n in range(1, MOST_STREAMS + 13)])
    assert len(chosen) == MOST_STREAMS
    assert "web.61, web.62" in notices[0].text
    assert "and 2 more" in notices[0].text


# --- The past ------------------------------------------------------------------------------------


async def test_history_is_one_order_over_all_tasks_and_only_its_end() -> None:
    streams = ScriptedStreams(t1=[[said(1), said(4), said(5)]], t2=[[said(2), said(3), said(6)]])
    batch = await history(streams, [source(1), source(2)], tail=4, since=0)
    assert [line.text for line in batch.lines] == ["at 3", "at 4", "at 5", "at 6"]
    assert [line.task for line in batch.lines] == ["web.2", "web.1", "web.1", "web.2"]


async def test_a_silent_node_costs_its_own_lines_and_is_named() -> None:
    streams = ScriptedStreams(t1=[[said(1)]], t2=[[said(2), SILENCE]])
    batch = await history(streams, [source(1), source(2)], tail=9, since=0, wait=0.2)
    assert [line.text for line in batch.lines] == ["at 1", "at 2"]
    assert batch.notices == [
        Notice("node-2 did not answer for web.2 within 0.2 s.", "web.2", "node-2")
    ]
    assert streams.open == 0


async def test_history_raises_only_what_befell_every_task() -> None:
    broken = EngineUnreachable("tcp://manager is away")
    some = ScriptedStreams(t1=[[said(1)]], t2=[[broken]])
    batch = await history(some, [source(1), source(2)], tail=9, since=0)
    assert [notice.text for notice in batch.notices] == ["tcp://manager is away"]
    with pytest.raises(EngineUnreachable):
        await history(ScriptedStreams(t1=[[broken]]), [source(1)], tail=9, since=0)


async def test_a_task_that_is_gone_is_no_failure_of_the_service() -> None:
    streams = ScriptedStreams(t1=[[ObjectMissing("task t1 not found")]])
    batch = await history(streams, [source(1)], tail=9, since=0)
    assert [notice.text for notice in batch.notices] == ["task t1 not found"]


# --- The present ---------------------------------------------------------------------------------


async def test_the_first_batch_is_the_past_in_one_order_without_a_count_of_what_is_older() -> None:
    streams = ScriptedStreams(
        t1=[[said(n) for n in range(0, 20, 2)] + [SILENCE]],
        t2=[[said(n) for n in range(1, 20, 2)] + [SILENCE]],
    )
    async with following_of(streams, source(1), source(2), tail=5) as (_, batches):
        first = await anext(batches)
    assert [line.text for line in first.lines] == [f"at {n}" for n in range(15, 20)]
    assert first.notices == []


async def test_a_task_that_appears_is_joined() -> None:
    streams = ScriptedStreams(t1=[[said(1), SILENCE]], t2=[[said(2, "newcomer"), SILENCE]])
    async with following_of(streams, source(1)) as (follower, batches):
        await until_text(batches, "at 1")
        follower.update([source(1), source(2)])
        assert (await until_text(batches, "newcomer")).lines[0].task == "web.2"
    assert [opened["task"] for opened in streams.opened] == ["t1", "t2"]


async def test_a_task_that_ends_is_read_to_its_last_line_without_repeating_any() -> None:
    streams = ScriptedStreams(t1=[[said(1), SILENCE], [said(1), said(2, "last words")]])
    async with following_of(streams, source(1)) as (follower, batches):
        await until_text(batches, "at 1")
        follower.update([source(1, ended=True)])
        rest = await until_text(batches, "last words")
    assert [line.text for line in rest.lines] == ["last words"]
    assert [opened["follow"] for opened in streams.opened] == [True, False]


async def test_a_broken_stream_is_told_once_and_opened_again_where_it_broke(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(following, "RETRY_SECONDS", 0.01)
    away = EngineUnreachable("the engine is away")
    streams = ScriptedStreams(t1=[[said(1), away], [away], [away], [said(1), said(2), SILENCE]])
    async with following_of(streams, source(1)) as (_, batches):
        whole = await until_text(batches, "at 2")
    assert [line.text for line in whole.lines] == ["at 1", "at 2"]
    assert [notice.text for notice in whole.notices] == ["the engine is away"]
    assert streams.opened[-1] == {
        "task": "t1", "tail": None, "since": 1767225600.1, "follow": True,
    }  # fmt: skip


async def test_a_node_that_comes_back_has_its_stream_opened_anew() -> None:
    streams = ScriptedStreams(t1=[[said(1), SILENCE], [said(2), SILENCE]])
    async with following_of(streams, source(1)) as (follower, batches):
        await until_text(batches, "at 1")
        follower.update([source(1, node_ready=False)])
        assert "node-1 is not ready" in (await until_text(batches, "ready")).notices[0].text
        follower.update([source(1)])
        await until_text(batches, "at 2")


async def test_a_flood_is_bounded_and_what_is_left_out_is_counted() -> None:
    flood = [said(n) for n in range(4 * following.BATCH_LINES)]
    streams = ScriptedStreams(t1=[[said(0, "begin"), SILENCE]], t2=[[*flood, SILENCE]])
    async with following_of(streams, source(1)) as (follower, batches):
        await until_text(batches, "begin")
        follower.update([source(1), source(2)])
        whole = await until_text(batches, "left out")
    assert len(whole.lines) == following.BATCH_LINES
    assert whole.lines[-1].text == flood[-1].text
    assert whole.notices[0].text.startswith("1,500 lines were left out")


async def test_above_its_budget_a_log_is_not_read_but_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(following, "FLOOD_LINES", 2_000)
    endless = [said(n) for n in range(3_000)]
    streams = ScriptedStreams(
        t1=[[said(0, "begin"), SILENCE]], t2=[endless, [said(9_999, "the newest"), SILENCE]]
    )
    async with following_of(streams, source(1)) as (follower, batches):
        await until_text(batches, "begin")
        follower.update([source(1), source(2)])
        whole = await until_text(batches, "the newest")
    assert any(notice.text.startswith("More than 1,") for notice in whole.notices)
    assert streams.opened[-1]["tail"] == following.BATCH_LINES


async def test_an_endless_line_is_cut_and_marked() -> None:
    streams = ScriptedStreams(t1=[[said(1, "x" * (LONGEST_LINE + 12_345))]])
    batch = await history(streams, [source(1)], tail=9, since=0)
    assert len(batch.lines[0].text) < LONGEST_LINE + 50
    assert batch.lines[0].text.endswith("… (12,345 more characters)")
