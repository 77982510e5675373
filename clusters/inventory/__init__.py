"""The watcher: keeps the rows true to the engine, at a cost that follows the change.

`lease` decides who watches, `attention` what to read next, `store` writes what differs.
"""
