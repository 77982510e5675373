"""The Celery application: `celery -A controlpanel worker` and `… beat`."""

import os

from celery import Celery
from celery.signals import beat_init, celeryd_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlpanel.settings")

from controlpanel import counted  # noqa: E402, F401  # connects itself to Celery's signals
from controlpanel.safety import refuse_unsafe  # noqa: E402

app = Celery("controlpanel")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@celeryd_init.connect
@beat_init.connect
def _refuse_unsafe(**_: object) -> None:
    refuse_unsafe()


# Two beats at once do no harm: each of these only wakes what is due, and claims decide who acts.
app.conf.beat_schedule = {
    "sweep": {"task": "clusters.tasks.sweep", "schedule": 2.0, "options": {"expires": 2.0}},
    "approvals": {
        "task": "clusters.tasks.close_void_approvals",
        "schedule": 5.0,
        "options": {"expires": 5.0},
    },
    "tend": {"task": "access.tasks.tend", "schedule": 30.0, "options": {"expires": 30.0}},
    "heads": {"task": "access.tasks.keep_heads", "schedule": 300.0, "options": {"expires": 60.0}},
    "prune": {"task": "clusters.tasks.prune", "schedule": 600.0, "options": {"expires": 60.0}},
}
