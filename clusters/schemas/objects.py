"""Secrets and configs, and what their rotation would do."""

from datetime import datetime
from typing import Any, Literal

from ninja import Schema
from pydantic import Field

from access.paging import Paging
from clusters.changes import Content, NewObject


class ObjectFilter(Paging):
    q: str = Field("", max_length=200, description="A part of the name.")
    stack: str | None = Field(
        None, max_length=64, description="One stack; an empty value asks for those without one."
    )


class NewSecret(NewObject, Content):
    """A secret to be. Give the value as text, or in Base64 for any bytes."""

    keep: bool = Field(
        False, description="Seal the value in the panel, so that the secret can be put back."
    )


class NewConfig(NewObject, Content):
    """A config to be. Give the content as text, or in Base64 for any bytes."""


class NewValue(Content):
    """The new value of a secret."""

    keep: bool = Field(False, description="Seal the new value in the panel.")


class NewContent(Content):
    """The new content of a config."""


class Created(Schema):
    id: str
    name: str


class ObjectRow(Schema):
    id: str
    name: str
    cluster: str
    stack: str
    family: str = Field(description="What it is a version of: its name without the version.")
    version: int
    labels: dict[str, str]
    templating: str
    used_by: list[str] = Field(description="The services whose containers get it.")
    used_by_hidden: int = Field(description="How many more, that you may not see.")
    created_at: datetime
    updated_at: datetime


class SecretRow(ObjectRow):
    """A secret. Its value can be read by its services alone."""

    driver: str = Field(description="What holds the value, if it is not the Swarm itself.")


class ConfigRow(ObjectRow):
    size: int = Field(description="Bytes.")


class Mount(Schema):
    """How a service mounts it."""

    service: str
    file: str
    uid: str
    gid: str
    mode: int | None = Field(description="As a number: 292 is 0444.")


class VersionRow(Schema):
    name: str
    version: int
    created_at: datetime


class SecretDetail(SecretRow):
    consumers: list[Mount]
    versions: list[VersionRow] = Field(description="Of its family, the newest first.")


class ConfigDetail(ConfigRow):
    consumers: list[Mount]
    versions: list[VersionRow] = Field(description="Of its family, the newest first.")


class ConfigData(Schema):
    name: str
    size: int
    text: str | None = Field(description="Null if the content is no text in UTF-8.")
    base64: str


class RotatedService(Schema):
    service: str
    tasks: int = Field(description="Tasks that Swarm would replace.")
    update_config: dict[str, Any]


class RotationPreview(Schema):
    """What a rotation would do. Nothing was changed."""

    dry_run: Literal[True]
    kind: str
    target: str
    new_name: str = Field(description="Of the version that would be created.")
    services: list[RotatedService] = Field(description="In the order of their turns.")
    warnings: list[str]
