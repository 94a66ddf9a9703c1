"""The views of the operator's page, by a short name: what tests visit, and what is shown in pictures."""

from typing import Final

VIEWS: Final = {
    "now": "/",
    "route": "/routes/new_case",
    "change": "/routes/new_case/change?mode=canary&percent=50",
    "differences": "/differences?route=new_case",
    "requests": "/requests",
    "failures": "/requests?failed=true&since=1%20h",
    "pending": "/pending",
    "clients": "/clients",
    "clients-query": "/clients?route=query",
    "audit": "/audit",
    "audit-all": "/audit?action=all",
    "system": "/system",
    "contract": "/contract",
}
# Of these, another filter of the same view is there as well.
SAME_TEMPLATE: Final = ("clients", "audit-all", "requests")
