"""What a cluster runs on: its nodes and its networks."""

from django.db.models import Count, Q, QuerySet

from access.authorize import visible_scopes
from access.models import User
from clusters.models import Cluster, Network, Node, SwarmTask
from clusters.selectors.scopes import in_scopes


def nodes_of(cluster: Cluster) -> QuerySet[Node]:
    """The nodes, each with `running`: how many tasks run on it."""
    tasks = SwarmTask.objects.filter(cluster=cluster, state="running", desired_state="running")
    counts = dict(tasks.order_by().values_list("node_engine_id").annotate(Count("pk")))
    nodes = cluster.nodes.all()
    for node in nodes:
        node.running = counts.get(node.engine_id, 0)  # type: ignore[attr-defined]
    return nodes


def networks_of(cluster: Cluster) -> QuerySet[Network]:
    """All of them, whoever may see them: to name those that a service is in."""
    return cluster.networks.all()


def networks_seen_by(user: User, cluster: Cluster) -> QuerySet[Network]:
    """Those of no stack, which are everybody's, and those of stacks that the user sees."""
    visible = in_scopes(visible_scopes(user), "cluster__name", "stack")
    return cluster.networks.filter(Q(stack="") | visible)
