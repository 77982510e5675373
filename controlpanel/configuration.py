"""A change of the panel's own settings stands in the audit trail, told by the next start."""

from django.conf import settings

from access import audit
from access.authorize import Actor
from access.models import AuditEntry, User

ACTION = "panel.settings"
# What decides who gets in and where the panel goes; no secret is among it.
TOLD = (
    "HTTPS", "DEBUG", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "ACCEPTED_RISKS", "LARGEST_BODY",
    "AUDIT_HEADS", "DOCKER_HOST", "ENGINE_SOCKETS", "ENGINE_REFUSED", "ENGINE_TIMEOUT",
    "SESSION_COOKIE_AGE", "PROMETHEUS_URL",
)  # fmt: skip


def tell_changes() -> None:
    """Compare the settings with those that the trail last told of."""
    now = {name: getattr(settings, name) for name in TOLD}
    last = AuditEntry.objects.filter(action=ACTION, cluster="").order_by("-at").first()
    before = last.detail.get("after") if last else {}
    if before == now:
        return
    panel = Actor(User(username="panel"), "panel")
    audit.record(panel, ACTION, AuditEntry.Phase.EVENT, detail={"before": before, "after": now})
