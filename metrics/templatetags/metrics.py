"""What templates of other pages ask about metrics."""

from django import template
from django.urls import reverse

from access.authorize import allowed
from access.models import User
from access.policy import Action
from clusters.models import Cluster
from metrics.sources import source_of

register = template.Library()


@register.simple_tag
def has_metrics(cluster: Cluster) -> bool:
    """Whether the cluster has a source, so that a page keeps room for what comes from it."""
    return source_of(cluster) is not None


@register.simple_tag
def metrics_address(user: User, cluster: Cluster) -> str:
    """Where the cluster's metrics are for this person; "" for who does not see all of it."""
    actions = allowed(user, cluster.scope)
    if Action.METRICS_QUERY in actions:
        return reverse("metrics:query", args=[cluster.name])
    return reverse("metrics:panels", args=[cluster.name]) if Action.SERVICE_VIEW in actions else ""
