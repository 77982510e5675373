"""A security key in software, and the browser before it."""

import hashlib
import json
import re
import secrets
from html import unescape
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import (
    Aaguid,
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)

FLAGS = AuthenticatorData.FLAG
TOUCHED = FLAGS.UP | FLAGS.UV


class SoftKey:
    def __init__(self, origin: str = "http://localhost") -> None:
        self.origin = origin
        self.id = secrets.token_bytes(16)
        self._key = ec.generate_private_key(ec.SECP256R1())

    def register(self, page: str) -> str:
        """The browser's answer to a page that wants to register a key."""
        options = options_of(page)
        public = ES256.from_cryptography_key(self._key.public_key())
        ours = AttestedCredentialData.create(Aaguid.NONE, self.id, public)
        data = AuthenticatorData.create(_hash(options["rp"]["id"]), TOUCHED | FLAGS.AT, 1, ours)
        attestation = AttestationObject.create("none", data, {})
        return self._credential(
            clientDataJSON=self._client("webauthn.create", options), attestationObject=attestation
        )

    def answer(self, page: str) -> str:
        """The browser's answer to a page that asks for a registered key."""
        options = options_of(page)
        client = self._client("webauthn.get", options)
        data = AuthenticatorData.create(_hash(options["rpId"]), TOUCHED, 2)
        signed = self._key.sign(data + client.hash, ec.ECDSA(hashes.SHA256()))
        return self._credential(clientDataJSON=client, authenticatorData=data, signature=signed)

    def _client(self, kind: str, options: dict[str, Any]) -> CollectedClientData:
        challenge = websafe_decode(options["challenge"])
        return CollectedClientData.create(kind, challenge, self.origin)

    def _credential(self, **response: bytes) -> str:
        name = websafe_encode(self.id)
        told = {part: websafe_encode(content) for part, content in response.items()}
        return json.dumps(
            {"id": name, "rawId": name, "type": "public-key", "response": told,
             "clientExtensionResults": {}}
        )  # fmt: skip


def options_of(page: str) -> Any:
    found = re.search(r'data-key-options="([^"]*)"', page)
    assert found, page
    return json.loads(unescape(found[1]))["publicKey"]


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
