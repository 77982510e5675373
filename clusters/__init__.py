"""Docker Swarm: clusters, their inventory, live pages, and the operations on services."""
