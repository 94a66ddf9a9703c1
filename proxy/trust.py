"""Decides which certificates outgoing calls accept: by the system's authorities and MICHIQ_CA_FILE."""

import ssl
from pathlib import Path


class BadAuthorities(Exception):
    """An unusable file of certificate authorities; the error's text is written for the operator."""


def trusted(ca_file: Path | None, setting: str = "MICHIQ_CA_FILE") -> ssl.SSLContext:
    """Returns a client's context that verifies every certificate and every host name.

    Raises BadAuthorities, which names `setting`, when `ca_file` can't be read or has no certificate in it.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        _add(context, ca_file, setting)
    return context


def _add(context: ssl.SSLContext, ca_file: Path, setting: str) -> None:
    # Python 3.13 also checks RFC 5280's rules for public authorities; a hospital's own often break them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    try:
        context.load_verify_locations(ca_file)
    except ssl.SSLError:
        reason = "needs certificates in PEM form"
    except OSError as error:
        reason = f"can't be read: {error.strerror}"
    else:
        return
    raise BadAuthorities(f"{setting} {reason}")
