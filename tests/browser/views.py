"""The views of the operator's page, by a short name: what tests visit, and what is shown in pictures."""

from typing import Final

VIEWS: Final = {
    "now": "/",
}
