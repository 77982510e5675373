"""Backups: targets, jobs, runs, drills, restores."""
