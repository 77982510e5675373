"""The Engine's HTTP API over a simulated Swarm."""
