"""A service's log: its tasks' logs, merged in the order of time.

Swarm's own merged log stops at the first node that does not answer, so each task is read by a
stream of its own: a dead node costs its own lines and a notice, never the others'.
"""
