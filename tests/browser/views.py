"""The views of the operator's page, by a short name: what tests visit, and what is shown in pictures."""

from typing import Final

VIEWS: Final = {
    "now": "/",
    "rollback": "/routes/new_case/rollback",
    "charts": "/routes/new_case/charts",
    "requests": "/requests",
    "failures": "/requests?failed=true&since=1%20h",
    "pending": "/pending",
    "clients": "/clients?route=query",
    "audit": "/audit",
}
