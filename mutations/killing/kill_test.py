"""What a kill test is: two populations of rewards -> a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Outcome(StrEnum):
    """Inconclusive is an outcome of its own and never folded into survived."""

    KILLED = "killed"
    SURVIVED = "survived"
    INCONCLUSIVE = "inconclusive"


class Direction(StrEnum):
    """On which side of the healthy population the mutant lies."""

    WORSE = "worse"
    BETTER = "better"
    EQUAL = "equal"
    LESS_RELIABLE = "less reliable"


@dataclass(frozen=True, slots=True)
class KillVerdict:
    """What one test says about one mutant.

    Attributes:
        test: name in the table of kill tests.
        outcome: None for a test that gives a number instead of a verdict (``average_ratio``).
        direction: sign of the mutant's mean against the healthy one; a mutant that improves the agent is never
            killed without this saying ``better``.
        statistic: the test's own number; its meaning is in the test's description.
        p_value: after Holm's correction where the test is corrected over the mutants of a campaign.
        effect_size: the test's own effect size (see its description).
        effect_low, effect_high: its 95 % interval, where the test gives one.
        power: as the test defines it; `power_label` says for which alternative, and whether it is corrected.
        n_healthy, n_mutant: agents compared.
        agreement: share of repeats with this outcome, for a resampling test run with several seeds.
        reason: one clause for the reader, above all why a verdict is inconclusive.
    """

    test: str
    outcome: Outcome | None
    direction: Direction
    statistic: float | None
    p_value: float | None
    effect_size: float | None
    effect_low: float | None
    effect_high: float | None
    power: float | None
    n_healthy: int
    n_mutant: int
    agreement: float | None = None
    reason: str = ""


class KillTest(Protocol):
    """Decides whether a mutant's rewards can be distinguished from the healthy ones.

    Attributes:
        name: as in specs and on the command line.
        summary: one line for ``proctor kill-tests``.
        source: where the test is defined.
        resampling: whether the verdict depends on the generator (then ``--repeats`` means something).
        corrected: whether `correct` changes verdicts when several mutants are judged together.

    Three further attributes are optional, see `takes_independent`, `better_is_killed` and `power_label`.
    """

    name: str
    summary: str
    source: str
    resampling: bool
    corrected: bool

    def judge(self, healthy: NDArray[np.float64], mutant: NDArray[np.float64], rng: np.random.Generator) -> KillVerdict:
        """Compare mean rewards of agents, both of shape (n,), paired by position (same seed).

        A test that takes independent populations gets them in shapes (n,) and (m,).

        Raises:
            InputError: populations are empty or not finite, or of different size where the test pairs them.
        """
        ...

    def correct(self, verdicts: list[KillVerdict]) -> list[KillVerdict]:
        """The verdicts of one family of comparisons, corrected for their number; same order. May be the identity."""
        ...


def takes_independent(test: KillTest) -> bool:
    """Whether a test compares independent populations, of any sizes (attribute `independent`); others compare pairs."""
    return bool(getattr(test, "independent", False))


def better_is_killed(test: KillTest) -> bool:
    """Whether a mutant killed with direction `better` counts as killed in a score (attribute of the same name)."""
    return bool(getattr(test, "better_is_killed", True))


def power_label(test: KillTest) -> str:
    """What the test's `power` is the chance of, for the head of a column (attribute of the same name)."""
    return str(getattr(test, "power_label", f"as {test.name} defines it"))
