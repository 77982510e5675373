"""Validated input of the pages."""
