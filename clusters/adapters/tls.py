"""TLS for an engine behind TCP: always verified, against the cluster's own CA alone."""

import os
import ssl
import tempfile
from pathlib import Path

import docker.tls

from clusters.ports import EngineUnreachable, TLSMaterial

UNSIGNED = (18, 19, 20, 21)  # OpenSSL's codes for a chain that ends at no authority of ours
STRANGER = ("ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_CERTIFICATE_REQUIRED")


def reason(error: ssl.SSLError) -> str:
    """Why there is no connection; OpenSSL's words alone tell nobody what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in UNSIGNED:
            return "its certificate is not signed by the CA certificate given for this cluster."
        return f"its certificate was refused: {error.verify_message}"
    if (error.reason or "").endswith(STRANGER):
        return f"the engine refused the panel's client certificate ({error.reason})."
    return str(error)


class TLSFiles:
    """PEM texts as the files that the TLS libraries insist on: private, and gone after `close`."""

    def __init__(self, material: TLSMaterial) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="pilothouse-tls-")
        self.ca = self._write("ca.pem", material.ca)
        self.certificate = self._write("cert.pem", material.certificate)
        self.key = self._write("key.pem", material.key)

    def _write(self, name: str, text: str) -> str:
        path = Path(self._directory.name) / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(text)
        return str(path)

    def for_docker_py(self) -> docker.tls.TLSConfig:
        return docker.tls.TLSConfig(
            client_cert=(self.certificate, self.key), ca_cert=self.ca, verify=True
        )

    def context(self) -> ssl.SSLContext:
        """Raises EngineUnreachable when the certificates are none."""
        try:
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=self.ca)
            context.load_cert_chain(self.certificate, self.key)
        except ssl.SSLError as error:
            raise EngineUnreachable(
                f"The cluster's certificates cannot be used: {error}"
            ) from error
        return context

    def close(self) -> None:
        self._directory.cleanup()
