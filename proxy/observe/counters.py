"""Counts events in plain dictionaries: a count costs less than a microsecond, and rendering comes later."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from prometheus_client import Metric
from prometheus_client.samples import Exemplar

_INFINITE: Final = float("inf")

# Makes a family of samples from values that were copied before, in any thread.
Frozen: TypeAlias = Callable[[], Metric]


class Counter:
    """A number that only grows, by the values of its labels; `name` lacks the `_total` of its samples."""

    def __init__(self, name: str, about: str, labels: Sequence[str] = ()) -> None:
        self._name, self._about, self._labels = name, about, labels
        self._values: dict[tuple[object, ...], float] = {}

    def inc(self, *labels: object) -> None:
        self._values[labels] = self._values.get(labels, 0) + 1

    def expect(self, known: Iterable[tuple[object, ...]]) -> None:
        """Shows these values of the labels as 0 before their first event: a rate can't see a first sample."""
        for labels in known:
            self._values.setdefault(labels, 0)

    def reach(self, total: float) -> None:
        """Raises the number without labels to a total that is counted elsewhere."""
        self._values[()] = max(total, self._values.get((), 0))

    def count(self, *labels: object) -> float:
        return self._values.get(labels, 0)

    def freeze(self) -> Frozen:
        """Copies the values; the result makes the samples."""
        values = self._values.copy()

        def made() -> Metric:
            family = Metric(self._name, self._about, "counter")
            for labels, value in values.items():
                family.add_sample(f"{self._name}_total", _named(self._labels, labels), value)
            return family

        return made


class _Buckets:
    """The observations of one series; `traces` has an exemplar for each bucket that got one."""

    __slots__ = ("counts", "sum", "traces")

    def __init__(self, size: int) -> None:
        self.counts = [0] * size
        self.sum = 0.0
        self.traces: dict[int, tuple[str, float]] = {}


class Histogram:
    """Observed seconds in buckets, by the values of its labels; `bounds` are the buckets' upper bounds."""

    def __init__(self, name: str, about: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._name, self._about, self._labels, self._bounds = name, about, labels, bounds
        self._series: dict[tuple[object, ...], _Buckets] = {}

    def observe(self, seconds: float, *labels: object, trace: str | None = None) -> None:
        """Adds an observation; `trace` is the id of a trace that shows one like it."""
        found = self._series.get(labels)
        if found is None:
            found = self._series[labels] = _Buckets(len(self._bounds) + 1)
        at = bisect_left(self._bounds, seconds)
        found.counts[at] += 1
        found.sum += seconds
        if trace is not None:
            found.traces[at] = (trace, seconds)

    def freeze(self) -> Frozen:
        """Copies the values; the result makes the samples."""
        series = {
            labels: (each.counts.copy(), each.sum, each.traces.copy())
            for labels, each in self._series.items()
        }

        def made() -> Metric:
            family = Metric(self._name, self._about, "histogram")
            for labels, (counts, total, traces) in series.items():
                self._add(family, _named(self._labels, labels), counts, total, traces)
            return family

        return made

    def _add(
        self,
        family: Metric,
        labels: dict[str, str],
        counts: Sequence[int],
        total: float,
        traces: Mapping[int, tuple[str, float]],
    ) -> None:
        below = 0
        for at, bound in enumerate((*self._bounds, _INFINITE)):
            below += counts[at]
            trace = traces.get(at)
            exemplar = Exemplar({"trace_id": trace[0]}, trace[1]) if trace else None
            named = {**labels, "le": str(float(bound)) if bound < _INFINITE else "+Inf"}
            family.add_sample(f"{self._name}_bucket", named, below, exemplar=exemplar)
        family.add_sample(f"{self._name}_count", labels, below)
        family.add_sample(f"{self._name}_sum", labels, total)


def gauge(name: str, about: str, value: float | Mapping[Any, float], labels: Sequence[str] = ()) -> Metric:
    """Makes the samples of a current value; with labels, `value` has one for each of their values."""
    family = Metric(name, about, "gauge")
    for each, number in (value if isinstance(value, Mapping) else {(): value}).items():
        family.add_sample(name, _named(labels, each), float(number))
    return family


def counter(name: str, about: str, value: float) -> Metric:
    """Makes the sample of a number that the system counts; `name` lacks its `_total`."""
    family = Metric(name, about, "counter")
    family.add_sample(f"{name}_total", {}, value)
    return family


def _named(names: Sequence[str], values: Sequence[object]) -> dict[str, str]:
    return dict(zip(names, map(str, values), strict=True))
