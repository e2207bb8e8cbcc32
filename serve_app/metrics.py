"""What `/metrics` tells Prometheus. Each replica counts for itself; no label holds a name that callers choose."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Bounds of the buckets of request times."""

CONTENT_TYPE = CONTENT_TYPE_LATEST


class ServiceMetrics:
    """The counters of one replica, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "proctor_requests", "Answered requests.", ("route", "method", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "proctor_request_seconds",
            "Time from the request's head to the end of its answer.",
            ("route", "method"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._errors = Counter("proctor_errors", "Problems told to callers.", ("type",), registry=self.registry)
        self._recommendations = Counter("proctor_recommendations", "Recommendations given.", registry=self.registry)
        self._results = Counter("proctor_results", "Test results accepted.", registry=self.registry)
        self._rewards = Counter("proctor_rewards", "Episodes rewarded.", registry=self.registry)
        self._wake_ups = Gauge(
            "proctor_wake_ups", "Agents woken from the store since this replica started.", registry=self.registry
        )
        self._agents = Gauge("proctor_agents", "Agents registered.", registry=self.registry)
        # Looking a label set up costs more than counting, and the sets are few.
        self._by_request: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request.

        Args:
            route: its template ("/v1/agents/{agent}"), never the path itself.
            seconds: how long it took.
        """
        key = (route, method, status)
        found = self._by_request.get(key)
        if found is None:
            found = (self._requests.labels(route, method, str(status)), self._seconds.labels(route, method))
            self._by_request[key] = found
        found[0].inc()
        found[1].observe(seconds)

    def error(self, slug: str) -> None:
        """Count one problem."""
        self._errors.labels(slug).inc()

    def recommendation(self) -> None:
        """Count one recommendation."""
        self._recommendations.inc()

    def results(self, accepted: int) -> None:
        """Count accepted results."""
        self._results.inc(accepted)

    def reward(self) -> None:
        """Count one rewarded episode."""
        self._rewards.inc()

    def owners(self, agents: int, wake_ups: int) -> None:
        """Set what the service itself counts.

        Args:
            agents: registered agents.
            wake_ups: agents woken from the store so far.
        """
        self._agents.set(agents)
        self._wake_ups.set(wake_ups)

    def exposition(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)
