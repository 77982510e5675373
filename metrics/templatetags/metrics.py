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
    """Where the cluster's metrics are for this person; "" for who may not query all of it."""
    may_query = Action.METRICS_QUERY in allowed(user, cluster.scope)
    return reverse("metrics:query", args=[cluster.name]) if may_query else ""
