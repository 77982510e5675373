"""How long engines take to answer, and how they fail: by method and class of endpoint."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from docker.errors import APIError

from telemetry.series import ENGINE_CALLS, ENGINE_ERRORS

VERBS = frozenset({"create", "init"})  # what may stand where an id stands otherwise


def endpoint_of(path: str) -> str:
    """The path without ids: `/services/{id}/update`. There are some dozen of them."""
    first, _, rest = path.strip("/").partition("/")
    inner, _, last = rest.partition("/")
    parts = [first, inner if inner in VERBS else "{id}" if inner else "", last]
    return "/" + "/".join(part for part in parts if part)


@contextmanager
def measured(method: str, path: str) -> Iterator[None]:
    endpoint, start = endpoint_of(path), time.perf_counter()
    try:
        yield
    except Exception as error:
        ENGINE_ERRORS.labels(method, endpoint, _kind_of(error)).inc()
        raise
    finally:
        ENGINE_CALLS.labels(method, endpoint).observe(time.perf_counter() - start)


def _kind_of(error: Exception) -> str:
    if isinstance(error, APIError):
        return str(error.response.status_code) if error.response is not None else "refused"
    return "timeout" if isinstance(error, requests.Timeout) else "unreachable"
