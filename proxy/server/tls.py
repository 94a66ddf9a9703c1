"""The proxy's own TLS: one certificate, which can be replaced while the proxy serves."""

import ssl
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from proxy.server.handshakes import Failed, watched_context

_log: Final = structlog.get_logger("proxy.tls")


class BadCertificate(Exception):
    """An unusable certificate or key; the error's text is written for the operator."""


class Tls:
    """The certificate in use. `context` is for servers and never changes.

    Connections that begin after `reload` get the new certificate. `failed` is called for each handshake that
    fails.
    """

    def __init__(self, certificate: Path, key: Path, failed: Failed) -> None:
        self._certificate = certificate
        self._key = key
        self._failed = failed
        self._pem = b""
        self._current = self._load()
        self.context = self._load()
        self.context.sni_callback = self._choose

    def end(self) -> datetime:
        """Returns the end of the certificate in use; the first call takes milliseconds."""
        # Imported only here: few ask, and it takes memory.
        from cryptography.x509 import load_pem_x509_certificates

        return load_pem_x509_certificates(self._pem)[0].not_valid_after_utc

    def reload(self) -> None:
        """Reads the files again; the old certificate stays in use if the new files are unusable.

        The context in use is not changed: OpenSSL would keep the old certificate beside a new one with
        another type of key.
        """
        try:
            self._current = self._load()
        except BadCertificate:
            _log.exception("certificate_rejected")
        else:
            _log.info("certificate_in_force")

    def _choose(self, client: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _: ssl.SSLContext) -> None:
        client.context = self._current

    def _load(self) -> ssl.SSLContext:
        context = watched_context(self._failed)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.set_alpn_protocols(["http/1.1"])
        try:
            # An empty password, so that OpenSSL never prompts for one.
            context.load_cert_chain(self._certificate, self._key, password="")
            self._pem = self._certificate.read_bytes()
        except (OSError, ValueError):
            raise BadCertificate(
                "MICHIQ_TLS_CERT, MICHIQ_TLS_KEY: need a certificate and its key, in PEM, without a password"
            ) from None
        return context
