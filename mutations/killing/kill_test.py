"""What a kill test is: two populations of rewards -> a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

UNKNOWN_ALTERNATIVE = "the test's own alternative"


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
        p_value: of this comparison alone. (Results written before 0.2.0 have Holm's corrected one here.)
        effect_size: the test's own effect size (see its description).
        effect_low, effect_high: its 95 % interval, where the test gives one.
        power: as the test defines it, at the level in force; `power_label` says what it is the chance of.
        n_healthy, n_mutant: agents compared.
        agreement: share of repeats with this outcome, for a resampling test run with several seeds.
        reason: one clause for the reader, above all why a verdict is inconclusive.
        p_adjusted: p-value after the correction for all comparisons of the report; None where there is none.
        level: the level in force: p-value up to which this comparison is rejected given all the others; None likewise.
        level_share: share of the level that this look may spend, for a verdict at a look (see `sequential_looks`); the
            p-value has been divided by it. None for a verdict without looks.

    The others are None for tests without a margin, and in results that are older than these fields:

        difference, difference_low, difference_high: of the mean rewards, mutant minus healthy, with its 95 % interval,
            in units of reward.
        margin: the largest difference of the means that does not matter, in units of reward.
        collapsed_healthy, collapsed_mutant: shares of collapsed agents.
        collapsed_low, collapsed_high: 95 % interval of the difference of these shares, mutant minus healthy.
        agents_for_kill: agents per population with which a kill has a power of .8 at the level in force, if the
            estimates hold; None where 1,000 are too few.
        agents_for_equivalence: agents per population with which equivalence is shown, if the estimates hold; None
            where 1,000 are too few.
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
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    margin: float | None = None
    collapsed_healthy: float | None = None
    collapsed_mutant: float | None = None
    collapsed_low: float | None = None
    collapsed_high: float | None = None
    agents_for_kill: int | None = None
    agents_for_equivalence: int | None = None
    p_adjusted: float | None = None
    level: float | None = None
    level_share: float | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """What error control says about one comparison of a family.

    Attributes:
        p_adjusted: compared with the test's level.
        level: the p-value up to which the comparison is rejected, given all the others.
        family: number of comparisons.
        method: whose procedure it is, for the reader.
    """

    p_adjusted: float
    level: float
    family: int
    method: str


def before_correction(p_value: float, correction: Correction) -> str:
    """Why a kill does not stand: the p-value that it had alone, and what it was corrected for."""
    family = f"{correction.family} comparisons" if correction.family != 1 else "1 comparison"
    return f"p = {p_value:.3g} alone, {correction.p_adjusted:.3g} after correction for {family} ({correction.method})"


class KillTest(Protocol):
    """Decides whether a mutant's rewards can be distinguished from the healthy ones.

    Attributes:
        name: as in specs and on the command line.
        summary: one line for ``proctor kill-tests``.
        source: where the test is defined.
        resampling: whether the verdict depends on the generator (then ``--repeats`` means something).
        corrected: whether its verdicts take part in error control; it is a `CorrectedKillTest` then.

    Further attributes are optional, see `takes_independent`, `takes_dead`, `takes_margins`, `better_is_killed` and
    `power_label`.
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


class CorrectedKillTest(KillTest, Protocol):
    """A kill test whose p-values are adjusted together with all others of a report.

    Attributes:
        level: a mutant is killed only where its adjusted p-value reaches this.
    """

    level: float

    def conclude(self, verdict: KillVerdict, correction: Correction) -> KillVerdict:
        """The verdict after correction, from one that `judge` gave; a mutant that was not killed never becomes so."""
        ...


def is_corrected(test: KillTest) -> TypeGuard[CorrectedKillTest]:
    """Whether a test takes part in error control."""
    return test.corrected


def takes_independent(test: KillTest) -> bool:
    """Whether a test compares independent populations, of any sizes (attribute `independent`); others compare pairs."""
    return bool(getattr(test, "independent", False))


def better_is_killed(test: KillTest) -> bool:
    """Whether a mutant killed with direction `better` counts as killed in a score (attribute of the same name)."""
    return bool(getattr(test, "better_is_killed", True))


def power_label(verdict: KillVerdict, test: KillTest | None) -> str | None:
    """What a verdict's power is the chance of: corrected or not, and at which alternative; None without a power.

    The alternative is the test's attribute `power_alternative`. Power is corrected where a level is in force, so not in
    verdicts before correction, of tests that are not corrected, and of results that are older than error control.

    Args:
        test: None where the test of a stored verdict is not known.
    """
    if verdict.power is None:
        return None
    corrected = "uncorrected" if verdict.level is None else "corrected"
    return f"{corrected}, at {getattr(test, 'power_alternative', UNKNOWN_ALTERNATIVE)}"


def killed_but_better(verdict: KillVerdict) -> bool:
    """Whether the test kills the mutant because it is better than the healthy agents."""
    return verdict.outcome is Outcome.KILLED and verdict.direction is Direction.BETTER


def counts_as_kill(test: KillTest, verdict: KillVerdict) -> bool:
    """Whether a verdict of this test is a kill in a score."""
    return verdict.outcome is Outcome.KILLED and (better_is_killed(test) or not killed_but_better(verdict))


def takes_dead(test: KillTest) -> bool:
    """Whether a test judges dead agents, whose reward is minus infinity (attribute of the same name)."""
    return bool(getattr(test, "takes_dead", False))


def takes_margins(test: KillTest) -> bool:
    """Whether the margins of a spec or of the command line apply to a test (attribute of the same name).

    Such a test has a method ``with_margins(margins)`` that returns the test with other margins.
    """
    return bool(getattr(test, "takes_margins", False))


def without_numbers(
    test: str, outcome: Outcome, direction: Direction, sizes: tuple[int, int], reason: str
) -> KillVerdict:
    """A verdict that no statistic decided; `sizes` of the healthy and the mutant population."""
    return KillVerdict(
        test=test,
        outcome=outcome,
        direction=direction,
        statistic=None,
        p_value=None,
        effect_size=None,
        effect_low=None,
        effect_high=None,
        power=None,
        n_healthy=sizes[0],
        n_mutant=sizes[1],
        reason=reason,
    )


def killed_by_crash(test: str, n_healthy: int, n_mutant: int) -> KillVerdict:
    """The verdict on a mutant all of whose agents died of the fault, beside healthy agents of which none died."""
    reason = f"killed by crash: all {n_mutant} agents died and the healthy ones lived"
    return without_numbers(test, Outcome.KILLED, Direction.WORSE, (n_healthy, n_mutant), reason)
