"""Autoscaling: policies, the decision, schedules, backtests."""
