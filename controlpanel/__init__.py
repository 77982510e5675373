"""The project package: settings, urls, processes, and the pages that span the apps."""

from controlpanel.celery import app as celery_app

__all__ = ["celery_app"]
