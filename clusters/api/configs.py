"""Configs. Unlike a secret's value, their content can be read."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from access import noted
from access.declared import needs
from access.paging import Page
from access.policy import Action
from clusters import shown
from clusters.api import objects
from clusters.api.answers import actor_of
from clusters.api.changes import IdempotencyKey
from clusters.models import Config
from clusters.problems import NotFound
from clusters.schemas.changes import DryRun
from clusters.schemas.objects import (
    ConfigData,
    ConfigDetail,
    ConfigRow,
    Created,
    NewConfig,
    NewContent,
    ObjectFilter,
    RotationPreview,
)
from clusters.schemas.operations import OperationRow

router = Router(tags=["Configs"])
CONFIG = "{slug:cluster}/configs/{str:config}"


@router.get("{slug:cluster}/configs", response=Page[ConfigRow], summary="List the configs")
@needs(Action.CONFIG_VIEW)
def list_configs(
    request: HttpRequest, cluster: str, filters: Query[ObjectFilter]
) -> dict[str, Any]:
    """By name, each with the services that use it."""
    return objects.listed(request, cluster, "config", filters)


@router.post("{slug:cluster}/configs", response={201: Created}, summary="Create a config")
@needs(Action.CONFIG_WRITE)
def create_config(
    request: HttpRequest, response: HttpResponse, cluster: str, new: NewConfig
) -> Status:
    return objects.created(request, response, cluster, "config", new, new)


@router.get(CONFIG, response=ConfigDetail, url_name="config", summary="Show a config")
@needs(Action.CONFIG_VIEW)
def show_config(request: HttpRequest, cluster: str, config: str) -> dict[str, Any]:
    """By name or id: how each service mounts it, and the versions of its family."""
    return objects.whole(request, cluster, "config", config)


@router.get(f"{CONFIG}/data", response=ConfigData, summary="Read a config")
@needs(Action.CONFIG_VIEW)
def show_config_data(request: HttpRequest, cluster: str, config: str) -> dict[str, Any]:
    found = objects.object_of(request, cluster, "config", config)
    if not isinstance(found, Config):
        raise NotFound(f"There is no config named {config}.")
    noted.read(actor_of(request), Action.CONFIG_VIEW, found.scope, found.name)
    return shown.config_data(found)


@router.post(
    f"{CONFIG}/rotate",
    response={202: OperationRow, 200: RotationPreview},
    summary="Rotate a config",
)
@needs(Action.CONFIG_WRITE)
def rotate_config(
    request: HttpRequest,
    response: HttpResponse,
    cluster: str,
    config: str,
    new: NewContent,
    options: Query[DryRun],
    key: IdempotencyKey = None,
) -> Status:
    """A new version with this content; every service is led to it, or all go back to the old."""
    found = objects.object_of(request, cluster, "config", config)
    return objects.rotated(request, response, found, new, options, key)


@router.delete(CONFIG, response={204: None, 202: OperationRow}, summary="Remove a config")
@needs(Action.CONFIG_REMOVE)
def remove_config(
    request: HttpRequest, response: HttpResponse, cluster: str, config: str
) -> Status:
    """Only while no service uses it. Not with a token: it needs a proof of who you are.

    In a protected scope it awaits a second person: 202, with the operation.
    """
    return objects.removed(request, response, cluster, "config", config)
