"""What `/metrics` shows Prometheus. Each replica counts for itself.

No label holds a name that callers choose, but for one: the queue of each agent, which is shown only to the bearer of a
token, and only for the token's agents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily

from orchestration.service.owners.call_statistics import COMMIT_BOUNDS, ServiceStatistics, Totals

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Bounds of the buckets of request times."""

PARTS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Bounds of the buckets of what lies between 0 and 1; rewards outside are still in the sum."""

MOST_AGENTS = 100
"""Agents whose queues are shown, the longest first."""

CONTENT_TYPE = CONTENT_TYPE_LATEST

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
"""Methods that are counted by their names; callers may make up others, which are counted together."""


class ServiceMetrics:
    """The counters of one replica, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "proctor_requests", "Answered requests.", ("route", "method", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "proctor_request_seconds",
            "Time from the request's headers to the end of the answer.",
            ("route", "method"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._errors = Counter("proctor_errors", "Problems reported to callers.", ("type",), registry=self.registry)
        self._recommendations = Counter("proctor_recommendations", "Recommendations given.", registry=self.registry)
        self._results = Counter("proctor_results", "Test results accepted.", registry=self.registry)
        self._rewards = Counter("proctor_rewards", "Episodes rewarded.", registry=self.registry)
        self._reward = self._part("proctor_reward", "Total reward of an episode.")
        self._ttff = self._part(
            "proctor_time_to_first_failure",
            "Share of the total test time that passed before an episode's first failure.",
        )
        self._exploration = self._part("proctor_exploration", "Share of a recommendation that was explored.")
        self._wake_ups = Gauge(
            "proctor_wake_ups", "Agents woken from the store since this replica started.", registry=self.registry
        )
        self._agents = Gauge("proctor_agents", "Agents registered.", registry=self.registry)
        self._awake = Gauge("proctor_agents_awake", "Agents in the memory of their owners.", registry=self.registry)
        self._owners = Gauge("proctor_owners", "Owners that answer, in the whole cluster.", registry=self.registry)
        self._queue = Gauge(
            "proctor_queue_calls",
            "Calls of this replica that wait for agents or are in progress.",
            registry=self.registry,
        )
        self._longest = Gauge(
            "proctor_queue_longest_calls",
            "Calls of the busiest agent that wait or are in progress.",
            registry=self.registry,
        )
        self._store = Histogram(
            "proctor_store_read_seconds", "Time of a small read of the store.", buckets=SECONDS, registry=self.registry
        )
        self._totals = Totals()
        self.registry.register(_Commits(self._totals))
        # Looking a label set up costs more than counting, and the sets are few.
        self._by_request: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def _part(self, name: str, help_text: str) -> Histogram:
        return Histogram(name, help_text, buckets=PARTS, registry=self.registry)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request.

        Args:
            route: its template ("/v1/agents/{agent}"), never the path itself.
            seconds: how long it took.
        """
        key = (route, method if method in METHODS else "other", status)
        counters = self._by_request.get(key)
        if counters is None:
            counters = (self._requests.labels(*key[:2], str(status)), self._seconds.labels(*key[:2]))
            self._by_request[key] = counters
        counters[0].inc()
        counters[1].observe(seconds)

    def error(self, slug: str) -> None:
        """Count one problem."""
        self._errors.labels(slug).inc()

    def recommendation(self, numbers: Mapping[str, float]) -> None:
        """Count one recommendation; `numbers` holds its exploration."""
        self._recommendations.inc()
        self._exploration.observe(numbers["exploration"])

    def results(self, numbers: Mapping[str, float]) -> None:
        """Count accepted results."""
        self._results.inc(numbers["results"])

    def reward(self, numbers: Mapping[str, float]) -> None:
        """Count one rewarded episode: `numbers` holds its reward and, where a test failed, its metrics."""
        if not numbers:  # it was rewarded before
            return
        self._rewards.inc()
        self._reward.observe(numbers["reward"])
        if "ttff" in numbers:
            self._ttff.observe(numbers["ttff"])

    def owners(self, statistics: ServiceStatistics) -> None:
        """Set what the service itself counts."""
        self._totals.add(statistics.each)
        self._agents.set(statistics.agents)
        self._awake.set(statistics.awake)
        self._owners.set(statistics.owners)
        self._wake_ups.set(self._totals.wake_ups)
        self._store.observe(statistics.read_seconds)
        queues = [calls for _, calls in statistics.waiting]
        self._queue.set(sum(queues))
        self._longest.set(max(queues, default=0))

    def exposition(self) -> bytes:
        """The text that Prometheus reads, without any agent's name."""
        return generate_latest(self.registry)


def queues_exposition(statistics: ServiceStatistics, sees: Callable[[str], bool]) -> bytes:
    """The queue of each agent that the caller may know of; the longest ones of many."""
    family = GaugeMetricFamily(
        "proctor_agent_queue_calls",
        "Calls of this replica that wait for the agent or are in progress.",
        labels=["agent"],
    )
    seen = sorted(((calls, name) for name, calls in statistics.waiting if sees(name)), reverse=True)
    for calls, name in seen[:MOST_AGENTS]:
        family.add_metric([name], calls)
    return generate_latest(_Only(family))


class _Only(CollectorRegistry):
    """A registry of one family."""

    def __init__(self, family: GaugeMetricFamily) -> None:
        super().__init__()
        self._family = family

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The family."""
        yield self._family


class _Commits:
    """Commit times of all owners, as they measured them."""

    def __init__(self, totals: Totals) -> None:
        self._totals = totals

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The histogram."""
        family = HistogramMetricFamily("proctor_store_commit_seconds", "Time of a commit of results to the store.")
        total, buckets = 0, []
        for bound, count in zip((*map(str, COMMIT_BOUNDS), "+Inf"), self._totals.commits, strict=True):
            total += count
            buckets.append((bound, total))
        family.add_metric([], buckets, self._totals.commit_seconds)
        yield family
