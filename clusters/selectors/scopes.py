"""What a user's scopes let them see of rows, and which scopes there are."""

from collections.abc import Iterable

from django.db.models import Q

from access.authorize import visible_scopes
from access.models import User
from access.policy import Scope
from clusters.models import Cluster, Service


def in_scopes(scopes: Iterable[Scope], cluster: str, stack: str | None) -> Q:
    """A filter that holds in any of the scopes; nothing is visible without one."""
    found = Q(pk__in=[])
    for scope in scopes:
        here = Q()
        if scope.cluster:
            here &= Q(**{cluster: scope.cluster})
        if scope.stack:
            here &= Q(**{stack: scope.stack}) if stack else Q()
        found |= here if here else Q(pk__isnull=False)
    return found


def in_sight(user: User, cluster: str, stack: str) -> Q:
    """A filter for rows of what the user may see, by the paths to their cluster and stack."""
    return in_scopes(visible_scopes(user), cluster, stack)


def places() -> dict[str, list[str]]:
    """Every cluster with its stacks: the scopes that there are, whoever may see them."""
    found: dict[str, list[str]] = {
        name: [] for name in Cluster.objects.values_list("name", flat=True)
    }
    rows = Service.objects.exclude(stack="").order_by("cluster__name", "stack")
    for cluster, stack in rows.values_list("cluster__name", "stack").distinct():
        found[cluster].append(stack)
    return found
