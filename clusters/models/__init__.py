"""The inventory's rows, the revisions, and the operations. One row's rules stand on its class."""

from clusters.events import Event
from clusters.models.clusters import Cluster
from clusters.models.nodes import Network, Node
from clusters.models.objects import MODELS, Config, KeptSecret, Secret, SecretOrConfig
from clusters.models.operations import Approval, Operation
from clusters.models.services import Revision, Service, SwarmTask

__all__ = [
    "Approval",
    "Cluster",
    "Config",
    "Event",
    "KeptSecret",
    "MODELS",
    "Network",
    "Node",
    "Operation",
    "Revision",
    "Secret",
    "SecretOrConfig",
    "Service",
    "SwarmTask",
]
