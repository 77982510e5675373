"""What happened in a cluster, from all that can tell of it, on one axis.

`entries` holds the sources, to which another package adds its own; `axis` draws.
"""
