"""The variables of the environment that begin as ours do, and are somebody else's."""

import re
from typing import Final

PREFIX: Final = "MICHIQ_"

# What Kubernetes makes of a Service, and Docker of a link, whose name is michiq or begins with michiq-: a
# name, and where an operator could write the same by mistake, the form of the value.
_ANY: Final = re.compile(r".*", re.DOTALL)
_OTHERS: Final = tuple(
    (re.compile(rf"MICHIQ(?:_[A-Z0-9_]+)?_{suffix}"), value)
    for suffix, value in (
        ("SERVICE_HOST", _ANY),
        ("SERVICE_PORT(?:_[A-Z0-9_]+)?", _ANY),
        ("PORT", re.compile(r"(?:tcp|udp|sctp)://.+")),
        ("PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?", _ANY),
        ("NAME", re.compile(r"/.+")),
        ("ENV_.+", _ANY),
    )
)


def is_service_link(name: str, value: str) -> bool:
    """Returns whether Kubernetes or Docker has set this variable, and not an operator.

    `MICHIQ_PORT=8080` is an operator's mistake; `MICHIQ_PORT=tcp://10.0.0.1:8080` is a Service's address.
    """
    return any(named.fullmatch(name) and form.fullmatch(value) for named, form in _OTHERS)
