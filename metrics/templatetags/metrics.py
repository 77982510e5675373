"""What templates of other pages ask about metrics."""

from django import template

from clusters.models import Cluster
from metrics.sources import source_of

register = template.Library()


@register.simple_tag
def has_metrics(cluster: Cluster) -> bool:
    """Whether the cluster has a source, so that a page keeps room for what comes from it."""
    return source_of(cluster) is not None
