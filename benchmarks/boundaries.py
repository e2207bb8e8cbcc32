"""What the boundary search does on simulated agents: edges, intervals, environments, islands, exact answers.

    python -m benchmarks.boundaries                 all sections (minutes)
    python -m benchmarks.boundaries --quick         a few searches per cell: whether it runs, not what it finds
    python -m benchmarks.boundaries --section islands

Agents saturate: each earns 500 up to an edge of its own and loses reward beyond it, by one of several laws. The true
edge is where the mean over the law of the agents has lost 5 %.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks import sections
from benchmarks.sections import Measurement, as_json
from envsearch.boundary import BoundaryResult, BoundarySearch
from envsearch.boundary_answer import Answer, Behaviour
from envsearch.spec import Parameter
from mutations.killing.behaviour import compare_behaviour
from mutations.killing.behaviour_edge import edge_of_behaviour
from mutations.killing.margins import Margins
from orchestration.campaign.steps.boundary_edges import before_island

Floats = NDArray[np.float64]
FULL, EPISODES = 500.0, 10
AXIS = Parameter("cart_mass", 1.0, 1.0, 20.0, 0.5)
SPAN = AXIS.high - AXIS.initial
AGENTS = (8, 20, 50)


@dataclass(frozen=True, slots=True)
class Law:
    """A law of agents: `edges` draws their own edges, `kept` is the share of the reward at a distance."""

    edges: Callable[[int, np.random.Generator], Floats]
    kept: Callable[[Floats, float], Floats]

    def rewards(self, edges: Floats, distance: float, rng: np.random.Generator) -> Floats:
        """Mean rewards over the episodes of one evaluation, unbiased, without noise where all is kept."""
        kept = np.clip(self.kept(edges, distance), 0.0, 1.0)
        inner = np.clip(kept, 1e-6, 1 - 1e-6)
        drawn = rng.beta(4 * EPISODES * inner, 4 * EPISODES * (1 - inner))
        return FULL * np.where((kept == 0) | (kept == 1), kept, drawn)

    def true_edge(self, margin: float) -> float:
        """Where the mean over 200,000 agents has lost the margin."""
        edges, low, high = self.edges(200_000, np.random.default_rng(0)), 0.0, SPAN
        for _ in range(40):
            middle = (low + high) / 2
            lost = 1 - float(np.mean(np.clip(self.kept(edges, middle), 0.0, 1.0)))
            low, high = (middle, high) if lost <= margin else (low, middle)
        return low


def _lognormal(agents: int, rng: np.random.Generator) -> Floats:
    return np.exp(rng.normal(math.log(6.0), 0.35, agents))


def _normal(agents: int, rng: np.random.Generator) -> Floats:
    return np.maximum(rng.normal(6.0, 1.5, agents), 0.2)


def _gamma(agents: int, rng: np.random.Generator) -> Floats:
    return rng.gamma(4.0, 1.5, agents)


def _two_kinds(agents: int, rng: np.random.Generator) -> Floats:
    return np.where(rng.random(agents) < 0.15, rng.uniform(1.0, 4.0, agents), rng.normal(8.0, 1.0, agents))


def _falling(edges: Floats, distance: float) -> Floats:
    return 1 - (distance - edges) / 5


def _decaying(edges: Floats, distance: float) -> Floats:
    return np.where(distance <= edges, 1.0, np.exp(-(distance - edges) / 3))


def _collapsing(edges: Floats, distance: float) -> Floats:
    return np.where(distance <= edges, 1.0, 0.1)


LAWS: dict[str, Law] = {
    "lognormal edges, reward falls over 5 units": Law(_lognormal, _falling),
    "normal edges, reward falls over 5 units": Law(_normal, _falling),
    "gamma edges, reward decays": Law(_gamma, _decaying),
    "lognormal edges, agents collapse": Law(_lognormal, _collapsing),
    "normal edges, agents collapse": Law(_normal, _collapsing),
    "15 % fragile agents, reward falls": Law(_two_kinds, _falling),
}


@dataclass(frozen=True, slots=True)
class Searched:
    """One search on one simulated population; distances from the initial value.

    Attributes:
        edge, low, high: estimate and interval; the limit where they lie beyond it.
        environment: the furthest accepted point; 0 if there is none.
        started: whether the agents were shown to be equivalent to themselves.
    """

    edge: float
    low: float
    high: float
    environment: float
    started: bool = True


def search(law: Law, agents: int, margins: Margins, rng: np.random.Generator) -> Searched:
    """As a campaign searches: other episodes at every point, the initial ones among them."""
    edges = law.edges(agents, rng)
    initial = law.rewards(edges, 0.0, rng)
    own = compare_behaviour(initial, law.rewards(edges, 0.0, rng), margins)
    if own.behaviour is not Behaviour.ACCEPTED:
        return Searched(0.0, 0.0, 0.0, 0.0, started=False)
    moved: dict[float, Floats] = {}

    def answer(value: float) -> Answer:
        moved[value] = law.rewards(edges, value - AXIS.initial, rng)
        return compare_behaviour(initial, moved[value], margins).answer

    (segment,) = answered(BoundarySearch([AXIS], ask_initial=False), answer).segments
    kept = before_island(segment.answers)
    rewards = np.array([moved[probe.point[0][1]] for _, probe in kept])
    estimate = edge_of_behaviour([share for share, _ in kept], initial, rewards, margins)
    edge, low, high = (SPAN if end is None else end * SPAN for end in (estimate.estimate, estimate.low, estimate.high))
    return Searched(edge, low, high, segment.accepted_until * SPAN)


def answered(search_: BoundarySearch, answer: Callable[[float], Answer | bool]) -> BoundaryResult:
    """A search over one parameter, carried out."""
    while points := search_.ask():
        for point in points:
            search_.tell(point, answer(point[0][1]))
    return search_.result()


def populations(searches: int, seed: int) -> list[Measurement]:
    """Edge, interval and environment by law and number of agents."""
    rows, margins = [], Margins()
    for number, (name, law) in enumerate(LAWS.items()):
        truth = law.true_edge(margins.mean)
        for agents in AGENTS:
            rng = np.random.default_rng([seed, number, agents])
            results = [search(law, agents, margins, rng) for _ in range(searches)]
            rows.append(Measurement("populations", f"{name}, n = {agents}", _summary(results, truth)))
    return rows


def _summary(results: Sequence[Searched], truth: float) -> dict[str, float]:
    done = [result for result in results if result.started]
    return {
        "true edge": truth,
        "median edge": float(np.median([result.edge for result in done])),
        "covered": float(np.mean([result.low <= truth <= result.high for result in done])),
        "interval too low": float(np.mean([result.high < truth for result in done])),
        "interval too high": float(np.mean([result.low > truth for result in done])),
        "median width": float(np.median([result.high - result.low for result in done])),
        "median environment": float(np.median([result.environment for result in done])),
        "no environment": float(np.mean([result.environment == 0 for result in done])),
        "not searched": 1 - len(done) / len(results),
    }


def islands(searches: int, seed: int) -> list[Measurement]:
    """Normal behaviour up to an edge and again in one interval further out; is the island named?"""
    laws: dict[str, Callable[[np.random.Generator], tuple[float, float, float]]] = {
        "edge, start and end uniform": _uniform_island,
        "start uniform beyond the edge, up to a quarter of the axis wide": _narrow_island,
    }
    rows = []
    for number, (name, law) in enumerate(laws.items()):
        for batch in (1, 4, 8, 16):
            rng = np.random.default_rng([seed, number])
            outcomes = [_island_search(*law(rng), batch) for _ in range(searches)]
            named, ended, points = (float(np.mean(column)) for column in zip(*outcomes, strict=True))
            values = {"named": named, "ended on the island": ended, "points": points}
            rows.append(Measurement("islands", f"{name}, batch {batch}", values))
    return rows


def _uniform_island(rng: np.random.Generator) -> tuple[float, float, float]:
    edge = rng.uniform(0.0, SPAN)
    start, end = np.sort(rng.uniform(edge, SPAN, 2))
    return edge, float(start), float(end)


def _narrow_island(rng: np.random.Generator) -> tuple[float, float, float]:
    edge = rng.uniform(0.05, 0.75) * SPAN
    start = rng.uniform(edge, SPAN)
    return edge, start, min(SPAN, start + rng.uniform(0.0, 0.25) * SPAN)


def _island_search(edge: float, start: float, end: float, batch: int) -> tuple[bool, bool, int]:
    def accepted(value: float) -> bool:
        distance = value - AXIS.initial
        return distance <= edge or start <= distance <= end

    result = answered(BoundarySearch([AXIS], batch=batch), accepted)
    last = result.environments[-1].point[0][1] - AXIS.initial
    named = any(warning.startswith("Not monotone") for warning in result.warnings)
    return named, last > edge, len(result.probes)


def exact(searches: int, seed: int) -> list[Measurement]:
    """Monotone answers without noise: by how much the search misses the edge."""
    rng = np.random.default_rng(seed)
    misses = []
    for edge in rng.uniform(AXIS.precision, SPAN, searches).tolist():

        def accepted(value: float, edge: float = edge) -> bool:
            return value - AXIS.initial <= edge

        result = answered(BoundarySearch([AXIS]), accepted)
        misses.append(edge - (result.environments[-1].point[0][1] - AXIS.initial))
    values = {"largest error": max(misses), "smallest": min(misses), "precision": AXIS.precision}
    return [Measurement("exact", "edge uniform", {name: float(value) for name, value in values.items()})]


SECTIONS: dict[str, Callable[[int, int], list[Measurement]]] = {
    "populations": populations,
    "islands": islands,
    "exact": exact,
}


def as_table(rows: Sequence[Measurement]) -> str:
    """Markdown, a table per section."""
    return sections.as_table(rows, lambda _column, value: f"{value:.3g}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.boundaries", description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=300, help="per cell")
    parser.add_argument("--quick", action="store_true", help="5 searches per cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--section", action="append", choices=list(SECTIONS), help="may be repeated; default: all")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    options = parser.parse_args()
    if options.searches < 1 or options.seed < 0:
        parser.error("--searches must be at least 1 and --seed at least 0")
    rows: list[Measurement] = []
    for name in dict.fromkeys(options.section or SECTIONS):
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows += SECTIONS[name](5 if options.quick else options.searches, options.seed)
    print(as_json(rows) if options.format == "json" else as_table(rows))


if __name__ == "__main__":
    main()
