"""What every page's shell needs. Nothing is read before a template asks for it."""

from functools import cached_property

from django.http import HttpRequest

from access.alarms import Alarms, alarms_of
from access.authorize import allowed_by, grants_of, scopes_with
from access.models import BreakGlass, User
from access.policy import EVERYWHERE, Action, Held
from clusters import contexts
from clusters.models import Cluster
from clusters.selectors.clusters import clusters_seen_by


class Shell:
    """The shell of a signed-in person's page."""

    def __init__(self, user: User, live_since: int) -> None:
        self.user = user
        self.live_since = live_since  # read before the page's own reads, so that none is missed

    @cached_property
    def clusters(self) -> list[Cluster]:
        return list(clusters_seen_by(self.user))

    @cached_property
    def simulated(self) -> list[Cluster]:
        return [cluster for cluster in self.clusters if cluster.simulated]

    @cached_property
    def tray(self) -> dict[str, object]:
        return contexts.tray(self.user)

    @cached_property
    def grants(self) -> list[Held]:
        return grants_of(self.user)

    @cached_property
    def audits(self) -> bool:
        """Whether the trail is there for them: all of it, or that of a cluster or a stack."""
        return bool(scopes_with(self.user, Action.AUDIT_VIEW))

    @cached_property
    def may(self) -> frozenset[Action]:
        """What the person may do everywhere: audit, register clusters."""
        return allowed_by(self.grants, EVERYWHERE)

    @cached_property
    def may_somewhere(self) -> frozenset[Action]:
        """What the person may do in one scope or another: see who may do what there."""
        return frozenset(action for held in self.grants for action in held.actions)

    @cached_property
    def alarms(self) -> Alarms:
        return alarms_of(self.grants)

    @property
    def own_emergencies(self) -> list[BreakGlass]:
        return [glass for glass in self.alarms.running if glass.user_id == self.user.pk]


def shell(request: HttpRequest) -> dict[str, object]:
    user = getattr(request, "user", None)
    if not isinstance(user, User) or not user.is_active:
        return {}
    return {"shell": Shell(user, getattr(request, "live_since", 0))}
