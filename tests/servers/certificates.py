"""A certificate authority of the test's own, and what it signs."""

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clusters.ports import TLSMaterial

PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Signed:
    """A certificate with its key, in PEM."""

    certificate: str
    key: str


class Authority:
    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        constraint = x509.BasicConstraints(ca=True, path_length=0)
        self._certificate = (
            self._builder(self._name, self._key).add_extension(constraint, critical=True)
        ).sign(self._key, hashes.SHA256())
        self.pem = self._certificate.public_bytes(PEM).decode()

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name)
        return (
            builder.public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
        )

    def sign(self, name: str) -> Signed:
        """A certificate for 127.0.0.1 and for a client alike."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = self._builder(subject, key).add_extension(address, critical=False)
        pem = key.private_bytes(
            PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        signed = certificate.sign(self._key, hashes.SHA256())
        return Signed(signed.public_bytes(PEM).decode(), pem.decode())

    def client(self) -> TLSMaterial:
        """What the panel is given: this authority, and a certificate of it."""
        signed = self.sign("panel")
        return TLSMaterial(self.pem, signed.certificate, signed.key)

    def server(self, folder: Path) -> ssl.SSLContext:
        """A server of this authority that asks its clients for a certificate, as dockerd does."""
        signed = self.sign("engine")
        certificate, key = folder / "cert.pem", folder / "key.pem"
        certificate.write_text(signed.certificate)
        key.write_text(signed.key)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=self.pem)
        context.load_cert_chain(certificate, key)
        context.verify_mode = ssl.CERT_REQUIRED
        return context
