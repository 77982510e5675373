"""Reads for a page, the API, and the live fragments. Rows only: never the engine.

Whatever a user may not see is not there: every read starts from their visible scopes.
"""
