"""The views of the operator's page, by a short name: what tests visit, and what is shown in pictures."""

from typing import Final

VIEWS: Final = {
    "now": "/",
    "route": "/routes/new_case",
    "change": "/routes/new_case/change?mode=canary&percent=20",
}
