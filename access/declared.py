"""What each entry point declares of itself: the action that it asks `authorize` for.

`tests/unit/test_permissions.py` finds every page, API address, consumer and Celery task, refuses
one that declares nothing, and tries each with every role in its own and in a foreign scope.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from access.policy import Action

EntryPoint = TypeVar("EntryPoint", bound=Callable[..., Any])

PUBLIC = "public"  # open to anybody: signing in, and health
SIGNED_IN = "signed-in"  # one's own things, or a list that holds what one may see
AS_ITS_OPERATION = "as-its-operation"  # the action of the operation that the address names
METRICS_TOKEN = "metrics-token"  # noqa: S105 - a program that shows the token of /metrics: Prometheus
INTERNAL = "internal"  # a Celery task: carries out what was authorized, and asks again


def needs(permission: Action | str) -> Callable[[EntryPoint], EntryPoint]:
    """Declare the action that a view, an API operation, a consumer or a task asks for."""

    def declare(entry_point: EntryPoint) -> EntryPoint:
        entry_point.permission = permission  # type: ignore[attr-defined]
        return entry_point

    return declare
