"""What ``/metrics`` shows: read from the database when somebody asks, so that it can never drift from the truth."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class Counts(Collector):
    """One gauge for each count that the database gives, such as ``aftersale_open_cases``."""

    def __init__(self, read: Callable[[], Mapping[str, int]]) -> None:
        """Ask `read` at every scrape; it gives counts by name."""
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give the gauges."""
        for name, count in self._read().items():
            yield GaugeMetricFamily(f"aftersale_{name}", f"{name.replace('_', ' ').capitalize()} now", value=count)

    def describe(self) -> list[GaugeMetricFamily]:
        """Name nothing beforehand, so that registering does not ask the database."""
        return []


def registry_of(read: Callable[[], Mapping[str, int]]) -> CollectorRegistry:
    """Give a registry that shows the counts."""
    registry = CollectorRegistry()
    registry.register(Counts(read))
    return registry
