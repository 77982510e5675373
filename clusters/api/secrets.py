"""Secrets. A value is taken and never given."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from access.declared import needs
from access.paging import Page
from access.policy import Action
from clusters.api import objects
from clusters.api.changes import IdempotencyKey
from clusters.schemas.changes import DryRun
from clusters.schemas.objects import (
    Created,
    NewSecret,
    NewValue,
    ObjectFilter,
    RotationPreview,
    SecretDetail,
    SecretRow,
)
from clusters.schemas.operations import OperationRow

router = Router(tags=["Secrets"])
SECRET = "{slug:cluster}/secrets/{str:secret}"  # noqa: S105  # an address


@router.get("{slug:cluster}/secrets", response=Page[SecretRow], summary="List the secrets")
@needs(Action.SECRET_VIEW)
def list_secrets(
    request: HttpRequest, cluster: str, filters: Query[ObjectFilter]
) -> dict[str, Any]:
    """By name, each with the services that use it."""
    return objects.listed(request, cluster, "secret", filters)


@router.post("{slug:cluster}/secrets", response={201: Created}, summary="Create a secret")
@needs(Action.SECRET_WRITE)
def create_secret(
    request: HttpRequest, response: HttpResponse, cluster: str, new: NewSecret
) -> Status:
    """The value goes straight to the Swarm. Not with a token: it needs a proof of who you are."""
    return objects.created(request, response, cluster, "secret", new, new, keep=new.keep)


@router.get(SECRET, response=SecretDetail, url_name="secret", summary="Show a secret")
@needs(Action.SECRET_VIEW)
def show_secret(request: HttpRequest, cluster: str, secret: str) -> dict[str, Any]:
    """By name or id: how each service mounts it, and the versions of its family."""
    return objects.whole(request, cluster, "secret", secret)


@router.post(
    f"{SECRET}/rotate",
    response={202: OperationRow, 200: RotationPreview},
    summary="Rotate a secret",
)
@needs(Action.SECRET_WRITE)
def rotate_secret(
    request: HttpRequest,
    response: HttpResponse,
    cluster: str,
    secret: str,
    new: NewValue,
    options: Query[DryRun],
    key: IdempotencyKey = None,
) -> Status:
    """A new version with this value; every service is led to it, or all go back to the old one.

    Not with a token: it needs a proof of who you are.
    """
    found = objects.object_of(request, cluster, "secret", secret)
    return objects.rotated(request, response, found, new, options, key, keep=new.keep)


@router.delete(SECRET, response={204: None, 202: OperationRow}, summary="Remove a secret")
@needs(Action.SECRET_REMOVE)
def remove_secret(
    request: HttpRequest, response: HttpResponse, cluster: str, secret: str
) -> Status:
    """Only while no service uses it. Not with a token: it needs a proof of who you are.

    In a protected scope it awaits a second person: 202, with the operation.
    """
    return objects.removed(request, response, cluster, "secret", secret)
