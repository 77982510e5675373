"""What it takes to register a cluster, validated: the API's body and the form end up as this."""

import re
from typing import Annotated

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from clusters.ports import TLSMaterial

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9a-fA-F:.]{2,45}\])"
_PATH = r"[A-Za-z0-9_.@+/-]{1,200}"  # no “:”, which means something to ssh
_ADDRESS = re.compile(
    rf"unix:///{_PATH}"
    rf"|tcp://{_HOST}:[0-9]{{1,5}}"
    rf"|ssh://(?:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,63}}@)?{_HOST}(?::[0-9]{{1,5}})?(?:/{_PATH})?"
)


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError(
            f"“{text[:80]}” is no address of an engine: write it as unix:///path/to.sock,"
            " tcp://host:port or ssh://user@host, without a password"
        )
    if (port := re.search(r":([0-9]+)(?:/|$)", text)) and not 0 < int(port[1]) < 65536:
        raise ValueError(f"{port[1]} is no port: they go from 1 to 65535")
    return text


def _certificate(text: str) -> str:
    try:
        x509.load_pem_x509_certificates(text.encode())
    except ValueError as error:
        raise ValueError("is not a certificate in PEM form") from error
    return text


def _private_key(text: str) -> str:
    try:
        load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise ValueError("is not an unencrypted private key in PEM form") from error
    return text


Address = Annotated[str, AfterValidator(_address)]
Certificate = Annotated[str, Field(max_length=100_000), AfterValidator(_certificate)]
PrivateKey = Annotated[str, Field(max_length=100_000), AfterValidator(_private_key)]


class TLS(BaseModel):
    """The PEM texts that `docker --tlscacert --tlscert --tlskey` would take."""

    model_config = ConfigDict(extra="forbid")

    ca: Certificate
    certificate: Certificate
    key: PrivateKey = Field(description="Kept sealed, and never shown again.")

    @model_validator(mode="after")
    def key_fits(self) -> "TLS":
        certificate = x509.load_pem_x509_certificates(self.certificate.encode())[0]
        key = load_pem_private_key(self.key.encode(), password=None)
        if certificate.public_key() != key.public_key():
            raise ValueError("the private key does not belong to the certificate")
        return self

    def material(self) -> TLSMaterial:
        return TLSMaterial(self.ca, self.certificate, self.key)


class NewCluster(BaseModel):
    """A cluster by the addresses of its managers, tried in this order."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"name": "production", "addresses": ["ssh://ops@manager-1.example.net"]}]
        },
    )

    name: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")
    addresses: list[Address] = Field(min_length=1, max_length=16)
    tls: TLS | None = None

    @model_validator(mode="after")
    def tls_has_a_use(self) -> "NewCluster":
        if self.tls and not any(address.startswith("tcp://") for address in self.addresses):
            raise ValueError("certificates are for tcp:// addresses, and there is none")
        return self


class NewSwarm(BaseModel):
    """Make an engine outside Swarm mode the first manager of a new Swarm."""

    model_config = ConfigDict(extra="forbid")

    advertise: str = Field(
        min_length=1,
        max_length=255,
        pattern=r"^[A-Za-z0-9\[][A-Za-z0-9.:_\[\]-]*$",
        description="The address, address:port or interface that other nodes will reach it by.",
        examples=["192.0.2.10"],
    )
