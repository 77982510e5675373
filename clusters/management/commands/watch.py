"""`manage.py watch`: the watcher process. Safe to start twice: a lease decides per cluster."""

import asyncio
import gc
import logging
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection

from clusters.adapters.docker_engine import DockerEngine
from clusters.adapters.docker_streams import DockerStreams
from clusters.engines import connection_of
from clusters.inventory import lease
from clusters.inventory.store import Store
from clusters.inventory.watch import STREAM_BROKE, Watch
from clusters.models import Cluster
from clusters.operations.clusters import found_locally
from clusters.ports import Connection, EngineError, Raw
from telemetry.reporting import report_as

log = logging.getLogger(__name__)
# The engines' answers are millions of small objects without cycles: to look for some takes a third
# of the time in which they are read.
FEW_COLLECTIONS = (100_000, 20, 50)
LOOK_FOR_CLUSTERS = 1.0  # seconds
LOOK_FOR_ENGINE = 10.0  # seconds between two looks for a local engine that is not there yet
CHECK_ADDRESSES = 10.0
EVENTS_AGAIN = 0.5  # seconds before a broken event stream is opened again
DATABASE_AGAIN = 0.5  # … before a database that did not answer is asked again

Key = tuple[int, Connection]  # the cluster's primary key, and how it is reached
Watching = dict[Key, asyncio.Task[None]]


class Command(BaseCommand):
    requires_system_checks = ["safety"]  # all take a third of the start's time; make test runs them
    help = "Watch every registered cluster and keep the inventory true to it."

    def handle(self, *args: Any, **options: Any) -> None:
        report_as("watcher")
        gc.set_threshold(*FEW_COLLECTIONS)
        asyncio.run(watch_all(f"{socket.gethostname()}:{os.getpid()}"))


async def watch_all(holder: str) -> None:
    """One task per cluster, as clusters come and go, until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    watching: Watching = {}
    found, looked_at = False, -LOOK_FOR_ENGINE
    with ThreadPoolExecutor(1, "clusters") as thread:
        while not stop.is_set():
            if not found and time.monotonic() - looked_at > LOOK_FOR_ENGINE:
                looked_at = time.monotonic()
                found = bool(await _in(thread, _find_local_engine))
            wanted = await _in(thread, _registered)
            if wanted is not None:
                _reconcile(watching, wanted, holder)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_FOR_CLUSTERS)
    for task in watching.values():
        task.cancel()
    await asyncio.gather(*watching.values(), return_exceptions=True)


def _reconcile(watching: Watching, wanted: dict[Key, str], holder: str) -> None:
    """Stop the watchers of clusters that are gone or reached otherwise; start those that miss."""
    for key in watching.keys() - wanted.keys():
        watching.pop(key).cancel()
    for key, name in wanted.items():
        task = watching.get(key)
        if task and task.done() and not task.cancelled() and task.exception():
            log.error("The watcher of %s failed and starts anew", name, exc_info=task.exception())
        if task is None or task.done():
            watching[key] = asyncio.create_task(_watch(key[0], key[1], name, holder))


async def _in(thread: ThreadPoolExecutor, call: Any, *args: Any) -> Any:
    """Run in the thread; a database that is away is logged and gives None, for the next try."""

    def guarded() -> Any:
        try:  # with the connection of the call before: to ask whether it lives costs a query
            return call(*args)
        except DatabaseError as error:
            log.warning("The database does not answer: %s", error)
            connection.close()
            return None

    return await asyncio.get_running_loop().run_in_executor(thread, guarded)


def _find_local_engine() -> bool:
    """The local engine, or the simulated one, is there as a cluster without being registered."""
    simulated = os.environ.get("PILOTHOUSE_SIMULATED_SWARM")
    address = f"unix://{simulated}" if simulated else settings.DOCKER_HOST
    engine = DockerEngine(Connection((address,), timeout=settings.ENGINE_TIMEOUT))
    try:
        engine.facts()
    except EngineError as error:
        log.debug("No local engine: %s", error)
        return False
    finally:
        engine.close()
    found_locally(address, simulated=bool(simulated))
    return True


def _registered() -> dict[Key, str]:
    found = {}
    for cluster in Cluster.objects.all():
        try:
            found[(cluster.pk, connection_of(cluster))] = cluster.name
        except EngineError as error:
            Cluster.objects.filter(pk=cluster.pk).update(
                state=Cluster.State.UNREACHABLE, state_message=str(error)
            )
    return found


async def _watch(cluster_id: int, where: Connection, name: str, holder: str) -> None:
    """Watch one cluster whenever its lease can be had, until cancelled."""
    with ThreadPoolExecutor(1, f"watch-{name}") as thread:
        while True:
            token = await _in(thread, lease.take, cluster_id, holder)
            if token is not None:
                await _watch_under_lease(cluster_id, where, token, thread)
            await asyncio.sleep(1)


async def _watch_under_lease(
    cluster_id: int, where: Connection, token: int, thread: ThreadPoolExecutor
) -> None:
    engine = DockerEngine(where)
    events: asyncio.Queue[Raw] = asyncio.Queue()
    helpers = [asyncio.create_task(_pump(where, events))]
    if len(where.addresses) > 1:
        helpers.append(asyncio.create_task(_check_addresses(engine)))
    try:
        await _steps(cluster_id, engine, token, events, thread)
    except lease.Fenced:
        log.warning("Another watcher has taken over cluster %s", cluster_id)
    finally:
        for helper in helpers:
            helper.cancel()
        await asyncio.shield(_in(thread, lease.give_up, cluster_id, token))
        engine.close()


async def _steps(
    cluster_id: int,
    engine: DockerEngine,
    token: int,
    events: asyncio.Queue[Raw],
    thread: ThreadPoolExecutor,
) -> None:
    """Step until fenced. A failed transaction makes the store's memory anew from the rows."""
    watch: Watch | None = None
    while True:
        if watch is None:
            watch = await _in(thread, _fresh_watch, cluster_id, engine, token)
        rest = await _in(thread, watch.step, _drained(events)) if watch else None
        if rest is None:
            watch, rest = None, DATABASE_AGAIN
        with suppress(TimeoutError):
            events.put_nowait(await asyncio.wait_for(events.get(), rest))


def _fresh_watch(cluster_id: int, engine: DockerEngine, token: int) -> Watch:
    return Watch(engine, Store(Cluster.objects.get(pk=cluster_id), token))


def _drained(events: asyncio.Queue[Raw]) -> list[Raw]:
    return [events.get_nowait() for _ in range(events.qsize())]


async def _check_addresses(engine: DockerEngine) -> None:
    """Managers that are not asked, because another answers, may have gone or come back."""
    while True:
        await asyncio.sleep(CHECK_ADDRESSES)
        await asyncio.to_thread(engine.check_addresses)


async def _pump(where: Connection, events: asyncio.Queue[Raw]) -> None:
    """The engine's events into the queue; after every break, the hint that some were lost."""
    streams = DockerStreams(where)
    try:
        while True:
            try:
                async for event in streams.events():
                    events.put_nowait(event)
            except EngineError as error:
                log.debug("The event stream broke: %s", error)
            events.put_nowait(STREAM_BROKE)
            await asyncio.sleep(EVENTS_AGAIN)
    finally:
        await streams.close()
