"""Which services use a secret or config."""

from dataclasses import dataclass, field

from django.db.models import F, QuerySet

from access.models import User
from clusters.models import Cluster, Config, Secret, Service
from clusters.ports import Noun
from clusters.selectors.services import services_seen_by


def consumers_of(found: Secret | Config) -> QuerySet[Service]:
    """The services whose containers get it, whoever may see them; by their specs."""
    title = found.noun.title()
    services = Service.objects.filter(cluster=found.cluster).select_related("cluster")
    reference = [{f"{title}ID": found.engine_id}]
    return services.filter(**{f"spec__TaskTemplate__ContainerSpec__{title}s__contains": reference})


@dataclass(frozen=True, slots=True)
class Usage:
    """Who uses a secret or config: services that the user sees, and how many others."""

    services: list[str] = field(default_factory=list)
    hidden: int = 0

    @property
    def total(self) -> int:
        return len(self.services) + self.hidden


def usage(user: User, cluster: Cluster, noun: Noun) -> dict[str, Usage]:
    """Engine id → who uses it; what nobody uses is left out. One query for the whole cluster."""
    title = noun.title()
    visible = set(services_seen_by(user, cluster).values_list("engine_id", flat=True))
    found: dict[str, tuple[list[str], list[str]]] = {}
    mounted = F(f"spec__TaskTemplate__ContainerSpec__{title}s")
    rows = Service.objects.filter(cluster=cluster).annotate(mounted=mounted)
    for key, name, references in (
        rows.filter(mounted__isnull=False)
        .order_by("name")
        .values_list("engine_id", "name", "mounted")
    ):
        for object_id in {reference.get(f"{title}ID", "") for reference in references or []}:
            found.setdefault(object_id, ([], []))[key not in visible].append(name)
    return {key: Usage(seen, len(hidden)) for key, (seen, hidden) in found.items()}
