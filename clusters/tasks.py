"""Celery's entry points. Their messages are wake-ups: what is to be done stands in PostgreSQL."""


def wake(operation_id: str) -> None:
    """Tell a worker that the operation is due."""
