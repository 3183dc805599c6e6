"""What ``/metrics`` shows, in Prometheus' words: counted as it happens (`Counted`), or seen at the last look (`Seen`).

Only names, labels and shapes live here; looking is `bot.app.lookout`'s. docs/reference/metrics.md explains each, and a
test holds the two together. Names carry their unit, counters end in ``_total``, labels have few values.
Source: https://prometheus.io/docs/practices/naming/ (read 2026-11-25).
"""

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, Summary, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bot import __version__
from bot.ports.records import CHANNELS, InboxSource
from bot.ports.standing import Standing
from bot.ports.watch import Attempt, Wait, Watch

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_Labels = TypeVar("_Labels", bound=tuple[str, ...])


class Counted(Watch):
    """Counts what this program does, from its start on."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Show the counts in `registry`."""
        self._attempts = Counter(
            "aftersale_send_attempts",
            "Attempts to send a message, by what came of it",
            ["channel", "kind", "outcome"],
            registry=registry,
        )
        self._waits = Summary(
            "aftersale_rate_limit_wait_seconds",
            "How long messages waited for their turn: for our own even pace, or because the other side asked for it",
            ["channel", "reason"],
            registry=registry,
        )
        self._received = Counter(
            "aftersale_inbox_received",
            "Rows committed to the inbox, repeats not counted",
            ["source"],
            registry=registry,
        )
        self._handled = Counter("aftersale_inbox_handled", "Rows of the inbox that were handled", registry=registry)
        self._handling = Histogram(
            "aftersale_inbox_transaction_seconds",
            "How long one transaction took that handled rows of the inbox",
            buckets=_SECONDS,
            registry=registry,
        )
        for source in get_args(InboxSource):
            self._received.labels(source)  # there from the start, so that a rate over the first of them is no gap

    def attempted(self, channel: str, kind: str, attempt: Attempt) -> None:
        """Count an attempt to send."""
        self._attempts.labels(channel, kind, attempt).inc()

    def waited(self, channel: str, why: Wait, seconds: float) -> None:
        """Count a wait."""
        self._waits.labels(channel, why).observe(seconds)

    def received(self, source: str, number: int) -> None:
        """Count what came in."""
        self._received.labels(source).inc(number)

    def handled(self, number: int, seconds: float) -> None:
        """Count what was handled, and how long it took."""
        self._handled.inc(number)
        self._handling.observe(seconds)


@dataclass(slots=True)
class Sight:
    """What was seen at the last look.

    `standing` is None while the database does not answer; `sales` are by stage, as of a look some while ago.
    `connections`: whether each thing outside is reached; `duties`: whether this program has them; `alarms` that are on.
    """

    database: str = ""
    standing: Standing | None = None
    sales: Mapping[str, int] = field(default_factory=dict)
    connections: Mapping[str, bool] = field(default_factory=dict)
    duties: Mapping[str, bool] = field(default_factory=dict)
    alarms: tuple[str, ...] = ()
    is_ready: bool = False


class Seen(Collector):
    """Shows the last look as gauges."""

    def __init__(self) -> None:
        """Show a program that has not looked yet."""
        self.sight = Sight()

    def describe(self) -> list[GaugeMetricFamily]:
        """Name nothing beforehand: what is shown depends on what was seen."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give the gauges."""
        sight = self.sight
        about = {"version": __version__, "python": platform.python_version(), "database": sight.database}
        yield _gauge("build_info", "Which program this is; always 1", {tuple(about.values()): 1}, *about)
        yield _gauge("ready", "Whether this program does all of its work (1), as /health says", {(): sight.is_ready})
        yield _gauge("database_up", "Whether the database answers (1)", {(): sight.standing is not None})
        yield _gauge("connection_up", "Whether something outside is reached (1)", _one(sight.connections), "to")
        yield _gauge("duty_held", "Whether this program has a duty that one alone may have", _one(sight.duties), "duty")
        if sight.standing is not None:
            yield from _queues(sight.standing)
            yield from _cases(sight.standing)
            alarms = dict.fromkeys(sight.alarms, 1)
            yield _gauge("alarm_on", "Alarms that are on in the whole of the installation", _one(alarms), "alarm")
        if sight.sales:
            yield _gauge("sales", "Sales by how far they came, as of some while ago", _one(sight.sales), "stage")


def _queues(now: Standing) -> Iterator[GaugeMetricFamily]:
    up_to = f"; {now.counted_up_to} means so many or more"
    sources = get_args(InboxSource)
    lags = {(source,): now.inbox_lag(source).total_seconds() for source in sources}
    yield _gauge("inbox_lag_seconds", "How long the oldest thing has waited to be handled", lags, "source")
    inbox = {(source,): now.new_inbox.get(source, 0) for source in sources}
    yield _gauge("inbox_waiting", f"Things that wait to be handled{up_to}", inbox, "source")
    yield _gauge("inbox_failed", f"Things that could not be handled{up_to}", {(): now.failed_inbox})
    lags = {(channel,): now.outbox_lag(channel).total_seconds() for channel in CHANNELS}
    yield _gauge("outbox_lag_seconds", "For how long the first message that is due might have gone", lags, "channel")
    outbox = {(channel, "due"): now.due.get(channel, 0) for channel in CHANNELS}
    outbox |= {(channel, "later"): now.later.get(channel, 0) for channel in CHANNELS}
    yield _gauge("outbox_waiting", f"Messages that wait{up_to}", outbox, "channel", "when")
    states = {(state,): getattr(now, state) for state in ("sending", "unknown", "failed", "held")}
    yield _gauge("outbox_messages", f"Messages by what has become of them{up_to}", states, "state")
    lag = now.moment_lag.total_seconds()
    yield _gauge("moment_lag_seconds", "For how long the oldest moment that is due has been so", {(): lag})


def _cases(now: Standing) -> Iterator[GaugeMetricFamily]:
    ages = {(team, age): number for team, cases in now.cases.items() for age, number in cases.by_age.items()}
    yield _gauge("open_cases", "Cases that are open, by how long", ages, "team", "age")
    overdue = {(team,): cases.overdue for team, cases in now.cases.items()}
    yield _gauge("overdue_cases", "Open cases whose first answer is overdue", overdue, "team")


def _one(values: Mapping[str, float]) -> dict[tuple[str, ...], float]:
    return {(name,): value for name, value in values.items()}


def _gauge(name: str, help_: str, values: Mapping[_Labels, float], *labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"aftersale_{name}", help_, labels=labels)
    for of, value in values.items():
        family.add_metric(of, float(value))
    return family


def registry_of(seen: Seen) -> CollectorRegistry:
    """Give a registry that shows what was seen, and how much memory and processor this program takes."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's. A second series for each counter, which says when it began: nobody needs it
    registry = CollectorRegistry()
    registry.register(seen)
    ProcessCollector(registry=registry)
    return registry
