"""What a cluster runs on: its nodes and its networks."""

from django.db.models import Count, QuerySet

from clusters.models import Cluster, Network, Node, SwarmTask


def nodes_of(cluster: Cluster) -> QuerySet[Node]:
    """The nodes, each with `running`: how many tasks run on it."""
    tasks = SwarmTask.objects.filter(cluster=cluster, state="running", desired_state="running")
    counts = dict(tasks.order_by().values_list("node_engine_id").annotate(Count("pk")))
    nodes = cluster.nodes.all()
    for node in nodes:
        node.running = counts.get(node.engine_id, 0)  # type: ignore[attr-defined]
    return nodes


def networks_of(cluster: Cluster) -> QuerySet[Network]:
    return cluster.networks.all()
