"""The specs that a service has had, and what of a spec may be shown."""

from typing import Any

from django.db.models import QuerySet

from clusters import specs
from clusters.models import Revision, Service


def revisions_of(service: Service) -> QuerySet[Revision]:
    """The kept specs, newest first, each with the operation that made it, if the panel did."""
    return Revision.objects.filter(
        cluster=service.cluster, service_engine_id=service.engine_id
    ).select_related("operation", "operation__requested_by")


def shown_spec(spec: dict[str, Any], *, env: bool) -> dict[str, Any]:
    """The spec, its environment's values hidden unless `env`."""
    return spec if env else specs.redacted(spec)
