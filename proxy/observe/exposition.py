"""Joins the samples of several workers, and writes them in the formats of Prometheus and OpenMetrics."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from prometheus_client import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.samples import Exemplar

WORKER: Final = "worker"
_OPENMETRICS: Final = "application/openmetrics-text"
_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


class _Families:
    """A registry of families that are there already."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def encoded(families: Iterable[Metric]) -> str:
    """Returns a worker's families as JSON, for its siblings."""
    return json.dumps(
        [
            [
                family.name,
                family.type,
                family.documentation,
                [
                    [
                        each.name,
                        each.labels,
                        each.value,
                        [each.exemplar.labels, each.exemplar.value] if each.exemplar else None,
                    ]
                    for each in family.samples
                ],
            ]
            for family in families
        ]
    )


def decoded(text: str) -> list[Metric]:
    """Returns the families that `encoded` wrote."""
    found = []
    for name, kind, about, samples in json.loads(text):
        family = Metric(name, about, kind)
        for sample, labels, value, exemplar in samples:
            family.add_sample(
                sample, labels, value, exemplar=Exemplar(exemplar[0], exemplar[1]) if exemplar else None
            )
        found.append(family)
    return found


def joined(of_workers: Mapping[str, Iterable[Metric]], common: Iterable[Metric]) -> list[Metric]:
    """Returns one family a name: each worker's samples with its label, and the common ones without it."""
    found: dict[str, Metric] = {}
    for worker, families in of_workers.items():
        for family in families:
            whole = found.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for each in family.samples:
                whole.samples.append(each._replace(labels={WORKER: worker, **each.labels}))
    return [*found.values(), *common]


def written(families: Sequence[Metric], accept: str) -> tuple[bytes, str]:
    """Returns the text and its content type: OpenMetrics for a client that accepts it.

    Only OpenMetrics has exemplars.
    """
    registry = _Families(families)
    if _OPENMETRICS in accept.lower():
        text: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        return text, openmetrics.CONTENT_TYPE_LATEST
    return generate_latest(registry), _TEXT
