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
