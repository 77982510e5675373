"""The live path's foundation: numbered changes, the bus that carries them, and the hub.

PostgreSQL is the bus: a change is numbered and announced (NOTIFY) in the transaction that makes it,
so nothing is announced that did not happen, and nothing that happened goes unnumbered.
"""
