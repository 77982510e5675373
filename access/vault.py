"""Seal secrets that the panel must be able to read again, under a key outside the database."""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings


class CannotUnseal(Exception):
    """The key is not the one that sealed it: PILOTHOUSE_SECRET_KEY was changed."""


def _fernet() -> Fernet:
    key = hashlib.sha256(b"pilothouse seal:" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))


def seal_for(purpose: str, data: bytes) -> str:
    """Data that somebody's browser carries from one step of a form to the next, readable by us
    alone and for this purpose alone."""
    return _fernet().encrypt(purpose.encode() + b"\0" + data).decode()


def unseal_for(purpose: str, token: str, seconds: int) -> bytes:
    """Raises CannotUnseal if it is older than this, or was sealed for something else."""
    try:
        opened, _, data = _fernet().decrypt(token.encode(), ttl=seconds).partition(b"\0")
    except InvalidToken as error:
        raise CannotUnseal("What was typed has expired: give it again.") from error
    if opened != purpose.encode():
        raise CannotUnseal("What was typed was meant for something else: give it again.")
    return data


def seal(text: str) -> bytes:
    return _fernet().encrypt(text.encode())


def unseal(sealed: bytes) -> str:
    """Raises CannotUnseal."""
    try:
        return _fernet().decrypt(bytes(sealed)).decode()
    except InvalidToken as error:
        raise CannotUnseal(
            "A kept secret cannot be read: PILOTHOUSE_SECRET_KEY was changed."
        ) from error
