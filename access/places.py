"""Which clusters and stacks there are, to choose a scope from.

The app that knows them stands above this one, so it says at its start how to ask.
"""

from collections.abc import Callable

from access.policy import EVERYWHERE, Scope

Places = dict[str, list[str]]  # a cluster's name → its stacks
_ask: list[Callable[[], Places]] = []


def ask_of(known: Callable[[], Places]) -> None:
    _ask[:] = [known]


def places() -> Places:
    return _ask[0]() if _ask else {}


def scopes() -> list[Scope]:
    """Every scope that there is, the widest first."""
    found = places()
    inside = [
        Scope(cluster, stack)
        for cluster, stacks in sorted(found.items())
        for stack in ("", *stacks)
    ]
    return [EVERYWHERE, *inside]
