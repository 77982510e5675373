"""Measurements of the whole panel, each against the bare thing in the same run."""
