"""What the API's addresses about access have in common: who asks, and how rows are shown."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Schema
from pydantic import ConfigDict, Field

from access.authorize import Actor
from access.models import ApiToken, Grant
from access.places import places
from access.policy import Scope
from access.problems import Invalid
from access.rights import Holder, Place, Way


def actor_of(request: HttpRequest) -> Actor:
    """Who asks, as the API's root found out."""
    actor: Actor = request.auth  # type: ignore[attr-defined]
    return actor


class Asked(Schema):
    """A request's body: what it does not know is refused."""

    model_config = ConfigDict(extra="forbid")


class Where(Asked):
    """A scope: everything, a cluster, or a stack of a cluster."""

    cluster: str = Field("", max_length=64, description="Left out: everywhere.")
    stack: str = Field("", max_length=64, description="Left out: the whole cluster.")

    @property
    def scope(self) -> Scope:
        return Scope(self.cluster, self.stack)


def known(scope: Scope) -> Scope:
    """The scope, if there is such a cluster; a stack may be deployed later. Raises Invalid."""
    if scope.stack and not scope.cluster:
        raise Invalid("A stack is a stack of a cluster: say which cluster, too.", "cluster")
    if scope.cluster and scope.cluster not in places():
        raise Invalid(f"There is no cluster named {scope.cluster}.", "cluster")
    return scope


class GrantShown(Schema):
    """A person or a group × a role × a scope. An empty cluster or stack means every one."""

    id: int
    user: str | None
    group: str | None
    role: str
    cluster: str
    stack: str
    most_replicas: int | None = Field(description="How far on-call may scale; null: any number.")
    expires_at: datetime | None


def grant_shown(grant: Grant) -> dict[str, Any]:
    names = ("id", "role", "cluster", "stack", "most_replicas", "expires_at")
    return {
        "user": grant.user.get_username() if grant.user else None,
        "group": grant.group.name if grant.group else None,
        **{name: getattr(grant, name) for name in names},
    }


class Through(Schema):
    """The grant through which somebody may do something."""

    role: str = Field(description="A role, or `emergency` for what was taken by break-glass.")
    group: str | None = Field(description="The group that holds it; null: it is the person's own.")
    cluster: str
    stack: str
    expires_at: datetime | None


def through(way: Way) -> dict[str, Any]:
    grant = way.grant
    return {
        "role": way.role,
        "group": way.group or None,
        "cluster": grant.cluster,
        "stack": grant.stack,
        "expires_at": grant.expires_at,
    }


class HolderShown(Schema):
    user: str
    through: list[Through]


def holder_shown(holder: Holder) -> dict[str, Any]:
    return {"user": holder.user.get_username(), "through": list(map(through, holder.ways))}


class RightShown(Schema):
    action: str
    by_token: bool = Field(description="Whether a token without bounds of its own could do it.")
    through: list[Through]


class PlaceShown(Schema):
    cluster: str
    stack: str
    rights: list[RightShown]


def place_shown(place: Place) -> dict[str, Any]:
    rights = [
        {"action": r.action, "by_token": r.by_token, "through": list(map(through, r.ways))}
        for r in place.rights
    ]
    return {"cluster": place.scope.cluster, "stack": place.scope.stack, "rights": rights}


class TokenShown(Schema):
    id: int
    owner: str
    name: str
    role: str = Field(description="Empty: whatever its owner may.")
    cluster: str
    stack: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


def token_shown(token: ApiToken) -> dict[str, Any]:
    names = (
        "id", "name", "role", "cluster", "stack", "created_at", "expires_at", "last_used_at",
        "revoked_at",
    )  # fmt: skip
    return {
        "owner": token.user.get_username(),
        **{name: getattr(token, name) for name in names},
    }
