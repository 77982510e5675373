"""A Swarm that is only simulated, behind the Docker Engine's own HTTP API."""
