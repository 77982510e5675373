"""A small OpenID provider over HTTP: discovery, authorize, token, userinfo and its keys.

It signs whom it is told to in without asking, and lies where a test wants it to.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "pilothouse", "the client's secret"


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Provider:
    """What it says of the next person, and how it lies."""

    issuer: str
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "s-1"})
    claims: dict[str, Any] = field(default_factory=dict)  # these of the token instead
    userinfo: dict[str, Any] = field(default_factory=dict)  # these of the user information instead
    answers: dict[str, Any] = field(default_factory=dict)  # a path → what it answers instead
    signs_with: rsa.RSAPrivateKey = field(default_factory=_new_key)
    asked: list[str] = field(default_factory=list)
    authorized: dict[str, dict[str, str]] = field(default_factory=dict)  # code → its parameters

    def __post_init__(self) -> None:
        self.key = self.signs_with
        self._told = {
            "/.well-known/openid-configuration": self._discovery,
            "/authorize": self._authorize,
            "/token": self._token,
            "/userinfo": self._userinfo,
            "/keys": self._keys,
        }

    def answer(self, path: str, given: dict[str, str]) -> Any:
        self.asked.append(path)
        if path in self.answers:
            return self.answers[path]
        return self._told[path](given)

    def _discovery(self, given: dict[str, str]) -> Any:
        paths = {
            "authorization_endpoint": "/authorize",
            "token_endpoint": "/token",
            "userinfo_endpoint": "/userinfo",
            "jwks_uri": "/keys",
        }
        told = {name: self.issuer + path for name, path in paths.items()}
        methods = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        return {"issuer": self.issuer, **told, **methods}

    def _authorize(self, given: dict[str, str]) -> Any:
        """A redirect back, as the person's browser gets it."""
        code = secrets.token_urlsafe(8)
        self.authorized[code] = given
        return f"{given['redirect_uri']}?{urlencode({'code': code, 'state': given['state']})}"

    def _token(self, given: dict[str, str]) -> Any:
        asked = self.authorized.pop(given.get("code", ""), None)
        if asked is None or not _keeps_to_pkce(asked, given) or given["client_secret"] != SECRET:
            return {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 60,
            "nonce": asked["nonce"], "auth_time": now, **self.person, **self.claims,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not ...}
        token = jwt.encode(claims, self.signs_with, "RS256", headers={"kid": "k1"})
        return {"access_token": "a", "token_type": "Bearer", "id_token": token}

    def _userinfo(self, given: dict[str, str]) -> Any:
        return {**self.person, **self.userinfo}

    def _keys(self, given: dict[str, str]) -> Any:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": "k1", "alg": "RS256", "use": "sig"}]}


def _keeps_to_pkce(asked: dict[str, str], given: dict[str, str]) -> bool:
    digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return asked.get("code_challenge_method") == "S256" and asked["code_challenge"] == challenge


@contextmanager
def running_provider() -> Iterator[Provider]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(urlsplit(self.path).query)

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            self._answer(self.rfile.read(length).decode())

        def _answer(self, given: str) -> None:
            parameters = {name: values[0] for name, values in parse_qs(given).items()}
            told = provider.answer(urlsplit(self.path).path, parameters)
            if isinstance(told, str):
                self.send_response(302)
                self.send_header("Location", told)
                self.end_headers()
                return
            self.send_response(400 if "error" in told else 200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = Provider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
