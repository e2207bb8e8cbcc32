"""Group-sequential looks: a mutant is judged at 6, 10, 15 and 20 agents, and its training stops once it is decided.

Each look may spend a fixed share of the level, by the power family of Kim and DeMets: the looks up to the one at n of N
agents spend (n / N) ** `EXPONENT` of it. A look rejects at level a where its own p-value is at most its share of a. So
p / share is a valid p-value at whatever look a training stops, and for whatever reason. By Bonferroni's inequality the
chance that any look of a comparison without an effect gets there is at most the sum of share x a, which is a. No joint
law of the looks is assumed, so this holds for permutation p-values of small and tied populations, and in environments
other than the one that stopped the training. Error control over many comparisons takes these p-values like any others.

Sources: Lan and DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70(3), 1983 (spending); Kim
and DeMets, "Design and analysis of group sequential tests based on the type I error spending rate function", Biometrika
74(1), 1987 (the power family).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from envsearch.errors import InputError
from mutations.killing.collapse import fewest_without_collapse
from mutations.killing.margins import EQUIVALENCE_LEVEL, LEAST_AGENTS, Margins

DEFAULT_LOOKS = (6, 10, 15, 20)
EXPONENT = 2.0
"""Chosen by measurement (docs/sequential-looks.md): obvious mutants stop at the first look, little power is lost."""

FEWEST = 3
"""Agents at the first look: with fewer, a verdict would rest on one or two trainings."""


@dataclass(frozen=True, slots=True)
class Looks:
    """When a mutant is judged.

    Attributes:
        agents: of the mutant at each look, rising; the last number is the most that are trained.

    Raises:
        InputError: fewer than one look, fewer than `FEWEST` agents at the first, or numbers that do not rise.
    """

    agents: tuple[int, ...] = DEFAULT_LOOKS

    def __post_init__(self) -> None:
        rising = all(earlier < later for earlier, later in itertools.pairwise(self.agents))
        if not self.agents or self.agents[0] < FEWEST or not rising:
            expected = f"rising numbers of agents from {FEWEST}, as {list(DEFAULT_LOOKS)}"
            raise InputError(f"{list(self.agents)} cannot be looks", "looks", expected)

    @property
    def most(self) -> int:
        """Agents at the last look."""
        return self.agents[-1]

    def share(self, agents: int) -> float:
        """Share of the level that the look at `agents` may spend; the shares of all looks sum to 1.

        Raises:
            InputError: there is no such look.
        """
        if agents not in self.agents:
            raise InputError(f"there is no look at {agents} agents", "looks", f"one of {list(self.agents)}")
        return spending(self.agents)[self.agents.index(agents)]

    def p_value(self, p_value: float, agents: int) -> float:
        """Sequential p-value of a comparison that was last judged at `agents`, from that look's own p-value."""
        return min(1.0, p_value / self.share(agents))

    def equivalence_level(self, agents: int, margins: Margins) -> float:
        """Level of the two one-sided tests at the look at `agents`; 0 at looks that have too few agents to show it.

        Where a mutant can survive from a certain number of agents only, earlier looks spend nothing, so that the later
        ones have more. Which looks these are depends on the margins alone. All levels sum to at most 5 %, so a mutant
        at a margin survives in at most 5 % of the campaigns.
        """
        return dict(zip(self.agents, equivalence_levels(self.agents, margins), strict=True))[agents]


def spending(agents: Sequence[int]) -> list[float]:
    """Share of the level at each look, summing to 1."""
    spent = [0.0, *((number / agents[-1]) ** EXPONENT for number in agents)]
    return [later - earlier for earlier, later in itertools.pairwise(spent)]


def equivalence_levels(agents: Sequence[int], margins: Margins) -> list[float]:
    """Level of the equivalence tests at each look: 0 for the first ones, until a look can use its share."""
    for first in range(len(agents)):
        levels = [EQUIVALENCE_LEVEL * share for share in spending(agents[first:])]
        fewest = max(LEAST_AGENTS, fewest_without_collapse(margins.survivable, levels[0]))
        if agents[first] >= fewest or first == len(agents) - 1:
            return [0.0] * first + levels
    return []
