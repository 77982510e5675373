"""Secrets and configs, their families and rotations, and the secrets kept for later."""

from collections.abc import Iterable

from django.db.models import Q, QuerySet
from django.db.models.functions import Length

from access.authorize import grants_of, scopes_with
from access.models import User
from access.policy import Action
from clusters.models import MODELS, Cluster, Config, KeptSecret, Operation, Secret
from clusters.ports import Noun
from clusters.problems import NotFound
from clusters.selectors.operations import operations_seen_by
from clusters.selectors.scopes import in_scopes


def objects_seen_by(
    user: User, cluster: Cluster, noun: Noun
) -> QuerySet[Secret] | QuerySet[Config]:
    """The cluster's secrets or configs. Raises NotFound for who may see none of any stack.

    A config's data is read when it is asked for; its `size` comes with the row.
    """
    model = MODELS[noun]
    scopes = [s for s in scopes_with(user, model.VIEW) if s.cluster in ("", cluster.name)]
    if not scopes:
        raise NotFound("There is nothing here that you may see.")
    visible = in_scopes(scopes, "cluster__name", "stack") & Q(cluster=cluster)
    if noun == "secret":
        return Secret.objects.filter(visible).select_related("cluster")
    configs = Config.objects.filter(visible).select_related("cluster").defer("data")
    return configs.annotate(size=Length("data"))


def object_seen_by(user: User, cluster: Cluster, noun: Noun, name: str) -> Secret | Config:
    """By name or by engine id. Raises NotFound, also for one that the user may not see."""
    seen = objects_seen_by(user, cluster, noun)
    found = seen.filter(Q(name=name) | Q(engine_id=name)).first()
    if found is None:
        raise NotFound(f"There is no {noun} named {name} in {cluster.name}.")
    return found


def nouns_seen_by(user: User, cluster: Cluster) -> list[Noun]:
    """Whether the user may see secrets, and configs, of any stack of the cluster."""
    within = [held for held in grants_of(user) if held.scope.cluster in ("", cluster.name)]
    return [
        noun for noun, model in MODELS.items() if any(model.VIEW in held.actions for held in within)
    ]


def successor(user: User, cluster: Cluster, noun: Noun, engine_id: str) -> str:
    """The name of the version that took the place of one that is gone; "" if none did."""
    rotations = operations_seen_by(user).filter(
        cluster=cluster, target_id=f"{noun}:{engine_id}", state=Operation.State.SUCCEEDED,
        kind=f"{noun}-rotate",
    )  # fmt: skip
    newest = rotations.first()
    return newest.plan["new"]["name"] if newest else ""


def family(user: User, found: Secret | Config) -> list[Secret | Config]:
    """The versions of its family that are in the Swarm, the newest first, itself among them."""
    others: Iterable[Secret | Config] = objects_seen_by(user, found.cluster, found.noun)
    own = [other for other in others if other.family == found.family]
    return sorted(own, key=lambda other: other.number, reverse=True)


def kept_secrets(user: User, cluster: Cluster) -> QuerySet[KeptSecret]:
    """Secrets whose sealed values the panel keeps though they are gone from the Swarm."""
    visible = in_scopes(scopes_with(user, Action.SECRET_VIEW), "cluster__name", "stack")
    kept = KeptSecret.objects.filter(visible, cluster=cluster).select_related("cluster", "kept_by")
    return kept.exclude(name__in=Secret.objects.filter(cluster=cluster).values("name"))


def kept_of(found: Secret | Config) -> KeptSecret | None:
    """What the panel keeps under its name."""
    if isinstance(found, Config):
        return None
    return KeptSecret.objects.filter(cluster=found.cluster, name=found.name).first()


def kept_secret_seen_by(user: User, cluster: Cluster, name: str) -> KeptSecret:
    """Raises NotFound, also for one that the user may not see."""
    found = kept_secrets(user, cluster).filter(name=name).first()
    if found is None:
        raise NotFound(f"No secret named {name} is kept for {cluster.name}.")
    return found


def rotation_of(user: User, found: Secret | Config) -> Operation | None:
    """The newest rotation of this secret or config."""
    target = f"{found.noun}:{found.engine_id}"
    rotations = operations_seen_by(user).filter(kind=f"{found.noun}-rotate")
    return rotations.filter(cluster=found.cluster, target_id=target).first()
