"""The views of the operator's page, by a short name: what tests visit, and what is shown in pictures."""

from typing import Final

VIEWS: Final = {
    "now": "/",
    "clients": "/clients",
    "clients_query": "/clients?route=query",
    "audit": "/audit",
    "audit_all": "/audit?action=all",
    "route": "/routes/new_case",
    "change": "/routes/new_case/change?mode=canary&percent=50",
    "requests": "/requests",
    "failures": "/requests?failed=true&since=1%20h",
    "pending": "/pending",
}
