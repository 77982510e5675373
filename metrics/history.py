"""What somebody asked: for that person alone, to ask it again."""

from hashlib import sha256

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from access.authorize import scopes_with
from access.models import User
from access.policy import Action
from clusters.models import Cluster
from metrics.models import AskedQuery

MOST = 50  # of each person


def note(user: User, cluster: Cluster, query: str, span: str) -> None:
    """The newest of it counts; what is older than the last ones is forgotten."""
    with transaction.atomic():
        AskedQuery.objects.update_or_create(
            user_id=user.pk,
            cluster=cluster,
            digest=sha256(query.encode()).hexdigest(),
            defaults={"query": query, "range": span, "asked_at": timezone.now()},
        )
        kept = AskedQuery.objects.filter(user_id=user.pk).values_list("pk", flat=True)[:MOST]
        AskedQuery.objects.filter(user_id=user.pk).exclude(pk__in=list(kept)).delete()


def asked_by(user: User) -> QuerySet[AskedQuery]:
    """The newest first; nothing of clusters that the user may not query any more."""
    found = AskedQuery.objects.filter(user_id=user.pk).select_related("cluster")
    scopes = [scope for scope in scopes_with(user, Action.METRICS_QUERY) if not scope.stack]
    if any(not scope.cluster for scope in scopes):
        return found
    return found.filter(cluster__name__in=[scope.cluster for scope in scopes])


def clear(user: User) -> None:
    AskedQuery.objects.filter(user_id=user.pk).delete()
