"""A real Swarm of several nodes on one machine: see README.md beside this file."""
