"""What every page's shell needs. Nothing is read before a template asks for it."""

from functools import cached_property

from django.http import HttpRequest

from access.authorize import allowed, scopes_with
from access.models import User
from access.policy import Action
from clusters import contexts, selectors
from clusters.models import Cluster


class Shell:
    """The shell of a signed-in person's page."""

    def __init__(self, user: User, live_since: int) -> None:
        self.user = user
        self.live_since = live_since  # read before the page's own reads, so that none is missed

    @cached_property
    def clusters(self) -> list[Cluster]:
        return list(selectors.clusters_seen_by(self.user))

    @cached_property
    def simulated(self) -> list[Cluster]:
        return [cluster for cluster in self.clusters if cluster.simulated]

    @cached_property
    def tray(self) -> dict[str, object]:
        return contexts.tray(self.user)

    @cached_property
    def audits(self) -> bool:
        """Whether the trail is there for them: all of it, or that of a cluster or a stack."""
        return bool(scopes_with(self.user, Action.AUDIT_VIEW))

    @cached_property
    def may(self) -> frozenset[Action]:
        """What the person may do everywhere: audit, register clusters."""
        return allowed(self.user)


def shell(request: HttpRequest) -> dict[str, object]:
    user = getattr(request, "user", None)
    if not isinstance(user, User) or not user.is_active:
        return {}
    return {"shell": Shell(user, getattr(request, "live_since", 0))}
