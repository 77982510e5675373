"""Joins this Redis node to its cluster, again and again, whatever addresses the others have now.

Six nodes, of which redis-master-N and redis-slave-N hold shard N of REDIS_SHARDS. No node leads:
each meets all others by name, and then does its own part. A node that holds nothing becomes the
replica of its partner if that one holds slots; otherwise the master takes its share of the slots,
but only when all six are there and nobody holds it. So the order of starts does not matter, a node
that lost its data is filled again by its partner, and after a failover nothing is taken back.
"""

import os
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lab.image.web import log, secret

PORT = 6379
SLOTS = 16384
JOINING_SECONDS = 0.5
JOINED_SECONDS = 5.0
TIMEOUT = 2.0


class RedisError(Exception):
    """What Redis answered after its minus sign."""


class Redis:
    """One connection and Redis's own protocol, as much of it as is needed here."""

    def __init__(self, host: str, password: str) -> None:
        self._socket = socket.create_connection((host, PORT), TIMEOUT)
        self._answers = self._socket.makefile("rb")
        self.ask("AUTH", password)

    def __enter__(self) -> "Redis":
        return self

    def __exit__(self, *error: object) -> None:
        self._answers.close()
        self._socket.close()

    def ask(self, *words: str) -> Any:
        parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
        self._socket.sendall(f"*{len(parts)}\r\n{''.join(parts)}".encode())
        return self._read()

    def _read(self) -> Any:
        line = self._answers.readline().decode().rstrip("\r\n")
        kind, rest = line[:1], line[1:]
        if kind == "-":
            raise RedisError(rest)
        if kind == "$":
            return self._answers.read(int(rest) + 2)[:-2].decode() if rest != "-1" else None
        if kind == "*":
            return [self._read() for _ in range(int(rest))]
        if not kind:
            raise ConnectionError("Redis closed the connection")
        return rest


@dataclass(frozen=True)
class Node:
    """A line of CLUSTER NODES."""

    id: str
    address: str
    flags: frozenset[str]
    primary: str | None
    linked: bool
    slots: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, line: str) -> "Node":
        id_, address, flags, primary, _, _, _, link, *slots = line.split()
        return cls(
            id_,
            address.partition(":")[0],
            frozenset(flags.split(",")),
            None if primary == "-" else primary,
            link == "connected",
            tuple(_range(slot) for slot in slots if not slot.startswith("[")),
        )


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def share(shard: int, shards: int) -> tuple[int, int]:
    """The slots of shard 1, 2, …, as evenly as they go."""
    bounds = [round(number * SLOTS / shards) for number in range(shards + 1)]
    return bounds[shard - 1], bounds[shard] - 1


def strangers(peers: dict[str, str], nodes: Iterable[Node]) -> dict[str, str]:
    """Those of the peers (name → address now) that the node is not connected with."""
    met = {node.address for node in nodes if node.linked and "handshake" not in node.flags}
    return {name: address for name, address in peers.items() if address not in met}


def duty(own: Node, nodes: list[Node], partner: str | None, part: tuple[int, int]) -> list[str]:
    """The command by which a connected node does its part; empty if there is nothing to do.

    `partner` is the address of the other node of this shard, if it is known.
    """
    if own.slots or own.primary:
        return []
    other = next((node for node in nodes if node.address == partner), None)
    if other and other.slots:
        return ["CLUSTER", "REPLICATE", other.id]
    taken = any(_overlap(slots, part) for node in nodes for slots in node.slots)
    if taken or os.environ.get("REDIS_ROLE") != "master":
        return []
    return ["CLUSTER", "ADDSLOTSRANGE", *map(str, part)]


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def addresses(names: Iterable[str]) -> dict[str, str]:
    """The names that are known now, with their addresses."""
    found = {}
    for name in names:
        try:
            found[name] = socket.gethostbyname(name)
        except OSError:
            continue
    return found


class Member:
    """This node, among the others that REDIS_PEERS names."""

    def __init__(self) -> None:
        self._name = os.environ["NODE_NAME"]
        self._names = os.environ["REDIS_PEERS"].split()
        self._shard = int(os.environ["REDIS_SHARD"])
        self._shards = len(self._names) // 2
        self._password = secret("redis_password")

    def step(self) -> bool:
        """One look and what follows from it; True when there was nothing to do."""
        with Redis("127.0.0.1", self._password) as redis:
            return self._look(redis)

    def _look(self, redis: Redis) -> bool:
        nodes = [Node.parse(line) for line in str(redis.ask("CLUSTER", "NODES")).splitlines()]
        own = next(node for node in nodes if "myself" in node.flags)
        peers = addresses(name for name in self._names if name != self._name)
        unmet = strangers(peers, nodes)
        for address in unmet.values():
            redis.ask("CLUSTER", "MEET", address, str(PORT))
        if own.slots or own.primary:
            return not unmet
        return self._take_part(redis, own, nodes, peers, bool(unmet))

    def _take_part(
        self, redis: Redis, own: Node, nodes: list[Node], peers: dict[str, str], unmet: bool
    ) -> bool:
        """Only with everybody there: what nobody seems to hold may be held by who is away."""
        if unmet or len(peers) < len(self._names) - 1:
            return False
        command = duty(own, nodes, self._partner(peers), share(self._shard, self._shards))
        if command:
            redis.ask(*command)
            log("took part", command=command[1:])
        return False

    def _partner(self, peers: dict[str, str]) -> str | None:
        """redis-master-2 and redis-slave-2 are partners."""
        other = {"master": "slave", "slave": "master"}[os.environ["REDIS_ROLE"]]
        return peers.get(f"redis-{other}-{self._shard}")


def main() -> None:
    member = Member()
    while True:
        joined = False
        try:
            joined = member.step()
        except (OSError, RedisError) as error:
            log("not joined yet", error=str(error))
        time.sleep(JOINED_SECONDS if joined else JOINING_SECONDS)


if __name__ == "__main__":
    main()
