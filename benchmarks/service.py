"""The scheduling service over HTTP compared with a constant endpoint in the same Ray Serve, in one run.

    python -m benchmarks.service [--seconds 4] [--rounds 3] [--kind failure_rate] [--format json|table]

Both sides get the same bodies and answer bodies of the same size, alone (one connection) and at 32 connections. Load
generator, HAProxy, replicas and the agent's owner share the machine's cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.http_load import Load, answer_of, burst, request_bytes

HOST = "127.0.0.1"
AGENT = "benchmark"
TESTS = 100
MANY_TESTS = 10_000
CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Row:
    """One call on both sides; `ratio` is the service's by the constant endpoint's.

    Attributes:
        measure: requests_per_second or p50_milliseconds, medians over the rounds.
    """

    call: str
    connections: int
    measure: str
    service: float
    constant: float
    ratio: float
    bar: str


def test_ids(count: int) -> list[str]:
    """Ids as a test runner makes them."""
    return [f"tests/test_module_{number % 17}.py::test_case_{number}" for number in range(count)]


def recommendation_body(count: int) -> bytes:
    """A job of that many tests."""
    cases = [{"id": name, "duration": 1.0 + number % 7} for number, name in enumerate(test_ids(count))]
    return json.dumps({"job": "benchmark", "test_cases": cases, "time_budget_seconds": 0.5 * 4 * count}).encode()


def results_body(count: int, cycle: int) -> bytes:
    """A result for each of them; some fail."""
    results = [
        {"id": name, "verdict": "failed" if (number + cycle) % 20 == 0 else "passed", "duration": 1.0 + number % 7}
        for number, name in enumerate(test_ids(count))
    ]
    return json.dumps({"results": results}).encode()


class Client:
    """One service under test."""

    def __init__(self, port: int) -> None:
        self.port = port

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        """One request, ready to send."""
        return request_bytes(method, HOST, self.port, path, body)

    def post(self, path: str, body: bytes = b"") -> Any:
        """One call and its answer."""
        return json.loads(answer_of(HOST, self.port, self.request("POST", path, body)))

    def load(self, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
        """A burst of requests."""
        return burst(HOST, self.port, requests, connections, seconds)

    def cycle(self, count: int, number: int, reward: bool = True) -> str:
        """One episode with all of its results; its id."""
        episode: str = self.post(f"/v1/agents/{AGENT}/recommendations", recommendation_body(count))["episode_id"]
        self.post(f"/v1/agents/{AGENT}/episodes/{episode}/results", results_body(count, number))
        if reward:
            self.post(f"/v1/agents/{AGENT}/episodes/{episode}/reward")
        return episode


@contextmanager
def both_sides(kind: str) -> Iterator[Client]:
    """The service with an agent that has seen a few cycles, and the constant endpoint."""
    from orchestration.runtime.serve import free_port, serving

    with tempfile.TemporaryDirectory(prefix="proctor-benchmark-") as home:
        port = free_port()
        with serving(HOST, port, {"home": home}):
            client = Client(port)
            client.post("/v1/agents", json.dumps({"name": AGENT, "kind": kind}).encode())
            for number in range(5):
                client.cycle(TESTS, number)
            _run_constant(client)
            yield client


def _run_constant(client: Client) -> None:
    from ray import serve

    from benchmarks.constant_endpoint import constant_application

    episode = client.cycle(TESTS, 5, reward=False)
    reward = answer_of(HOST, client.port, client.request("POST", f"/v1/agents/{AGENT}/episodes/{episode}/reward"))
    path = f"/v1/agents/{AGENT}/recommendations"
    recommendation = answer_of(HOST, client.port, client.request("POST", path, recommendation_body(TESTS)))
    answers = {"/recommend": recommendation, "/reward": reward}
    serve.run(constant_application(answers), name="constant", route_prefix="/constant")
    for _ in range(50):  # HAProxy learns of the new route a moment later
        try:
            for constant in answers:
                answer_of(HOST, client.port, client.request("POST", f"/constant{constant}"))
            return
        except RuntimeError:
            time.sleep(0.1)


def measure_recommend(client: Client, rounds: int, seconds: float) -> list[Row]:
    """Recommendations of 100 tests."""
    body = recommendation_body(TESTS)
    ours = client.request("POST", f"/v1/agents/{AGENT}/recommendations", body)
    constant = client.request("POST", "/constant/recommend", body)
    many = 1_000_000 // len(body)

    def sides(connections: int) -> tuple[list[Load], list[Load]]:
        service, other = [], []
        for _ in range(rounds):
            other.append(client.load([constant] * 100 * many, connections, seconds))
            service.append(client.load([ours] * 100 * many, connections, seconds))
        return service, other

    return rows("recommend, 100 tests", sides)


def measure_reward(client: Client, rounds: int, seconds: float) -> list[Row]:
    """Rewards of episodes of 100 tests; each reward call needs an episode of its own."""
    constant = client.request("POST", "/constant/reward")

    def sides(connections: int) -> tuple[list[Load], list[Load]]:
        service, other = [], []
        for turn in range(rounds):
            episodes = [client.cycle(TESTS, turn + number, reward=False) for number in range(300)]
            ours = [client.request("POST", f"/v1/agents/{AGENT}/episodes/{episode}/reward") for episode in episodes]
            other.append(client.load([constant] * 100_000, connections, seconds))
            service.append(client.load(ours, connections, seconds))
        return service, other

    return rows("reward, 100 tests", sides)


def rows(call: str, sides: Any) -> list[Row]:
    """What the bars are about: requests per second at 32 connections, p50 alone."""
    service, constant = sides(CONNECTIONS)
    ours, other = (statistics.median(load.per_second for load in side) for side in (service, constant))
    many = Row(call, CONNECTIONS, "requests_per_second", ours, other, ours / other, ">= 0.5, aim 0.7")
    service, constant = sides(1)
    ours, other = (statistics.median(load.p50 for load in side) for side in (service, constant))
    return [many, Row(call, 1, "p50_milliseconds", ours, other, ours / other, "<= 2, aim 1.5")]


def measure_many_tests(client: Client, kind: str, rounds: int) -> Row:
    """10,000 tests: the whole call compared with the library's own time for the same job."""
    from agents.scheduling.scheduler import Scheduler
    from agents.scheduling.settings import AgentSettings
    from agents.scheduling.testcase import TestCase

    body = recommendation_body(MANY_TESTS)
    request = client.request("POST", f"/v1/agents/{AGENT}/recommendations", body)
    cases = [TestCase(case["id"], "benchmark", case["duration"]) for case in json.loads(body)["test_cases"]]
    scheduler = Scheduler(AgentSettings(kind))
    whole, alone = [], []
    for number in range(3 * rounds):
        started = time.perf_counter()
        scheduler.recommend(cases, "benchmark", number)
        alone.append(1000 * (time.perf_counter() - started))
        whole.append(client.load([request], 1, 60.0).p50)
    times = statistics.median(whole), statistics.median(alone)
    return Row(
        f"recommend, 10,000 tests, beside the agent's own time ({kind})",
        1,
        "p50_milliseconds",
        *times,
        times[0] / times[1],
        "",
    )


def run(kind: str, rounds: int, seconds: float) -> list[Row]:
    """Everything, with a line of progress each."""
    with both_sides(kind) as client:
        rows = []
        for name, measure in (("recommend", measure_recommend), ("reward", measure_reward)):
            print(f"{name} ...", file=sys.stderr, flush=True)
            rows += measure(client, rounds, seconds)
        print("10,000 tests ...", file=sys.stderr, flush=True)
        return [*rows, measure_many_tests(client, kind, rounds)]


def as_table(rows: list[Row]) -> str:
    """Markdown."""
    lines = ["| call | connections | measure | service | constant | ratio | bar |", "|---|---:|---|---:|---:|---:|---|"]
    lines += [
        f"| {row.call} | {row.connections} | {row.measure.replace('_', ' ')} | {row.service:.4g} | {row.constant:.4g} "
        f"| {row.ratio:.2f} | {row.bar} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description=__doc__.splitlines()[0])
    parser.add_argument("--kind", default="failure_rate", help="kind of the agent")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each burst")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    options = parser.parse_args()
    rows = run(options.kind, options.rounds, options.seconds)
    print(json.dumps([asdict(row) for row in rows], indent=2) if options.format == "json" else as_table(rows))


if __name__ == "__main__":
    main()
