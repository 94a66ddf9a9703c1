"""Certificates of 127.0.0.1 and of proxy.example, made for a test."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa


@dataclass(frozen=True, slots=True)
class Made:
    """A certificate's files, and what a client sees of it."""

    certificate: Path
    key: Path
    der: bytes

    @property
    def settings(self) -> dict[str, str]:
        return {"MICHIQ_TLS_CERT": str(self.certificate), "MICHIQ_TLS_KEY": str(self.key)}

    def take(self, other: "Made") -> None:
        """Replaces these files by the other one's."""
        self.certificate.write_bytes(other.certificate.read_bytes())
        self.key.write_bytes(other.key.read_bytes())


def make(folder: Path, name: str, kind: Literal["ec", "rsa"] = "ec", password: bytes | None = None) -> Made:
    key = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
    now, subject = datetime.now(UTC), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    names = [x509.DNSName("proxy.example"), x509.IPAddress(ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
    files = folder / f"{name}.crt", folder / f"{name}.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(pem)
    return Made(*files, made.public_bytes(serialization.Encoding.DER))


def trusting(*certificates: Made) -> ssl.SSLContext:
    """Returns a client's context that trusts these certificates and nothing else."""
    context = ssl.create_default_context(cafile=None, cadata=_together(certificates))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _together(certificates: tuple[Made, ...]) -> str:
    return "\n".join(each.certificate.read_text() for each in certificates)
