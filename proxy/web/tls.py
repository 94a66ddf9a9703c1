"""TLS of the proxy's own: one certificate, exchanged while it serves."""

import ssl
from pathlib import Path
from typing import Final

import structlog

from proxy.web.handshakes import Failed, watched_context

_log: Final = structlog.get_logger("proxy.tls")


class BadCertificate(Exception):
    """The certificate and its key can't be served with; the text is fit for the operator."""


class Tls:
    """`context` is for servers, and stays; connections that begin after `reload` get the new certificate.

    `failed` is told of each handshake that fails.
    """

    def __init__(self, certificate: Path, key: Path, failed: Failed) -> None:
        self._certificate = certificate
        self._key = key
        self._failed = failed
        self._current = self._load()
        self.context = self._load()
        self.context.sni_callback = self._choose

    def reload(self) -> None:
        """Takes the files as they now are; the old certificate stays where they can't be served with.

        Not loaded into the context in use: OpenSSL would keep the old one beside a new one of another kind.
        """
        try:
            self._current = self._load()
        except BadCertificate:
            _log.exception("certificate_rejected")
        else:
            _log.info("certificate_in_force")

    def _choose(self, line: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _: ssl.SSLContext) -> None:
        line.context = self._current

    def _load(self) -> ssl.SSLContext:
        context = watched_context(self._failed)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.set_alpn_protocols(["http/1.1"])
        try:
            # A password is never asked for: nobody sits there.
            context.load_cert_chain(self._certificate, self._key, password="")
        except (OSError, ValueError):
            raise BadCertificate(
                "MICHIQ_TLS_CERT, MICHIQ_TLS_KEY: no certificate with its key, both PEM, without a password"
            ) from None
        return context
