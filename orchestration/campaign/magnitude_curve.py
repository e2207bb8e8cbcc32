"""The result of a sweep over magnitudes, as frozen plain data."""

from __future__ import annotations

from dataclasses import dataclass

from mutations.killing.kill_test import KillVerdict
from mutations.psychometric import PsychometricFunction, ThresholdFinding


@dataclass(frozen=True, slots=True)
class MagnitudePoint:
    """One magnitude of a curve.

    Attributes:
        mutant: its id (``RN_0.1``).
        noticed, agents: numbers of agents; noticed ones are below the curve's limit.
        low, high: 95 % interval of their share (Wilson's).
        verdicts: of every kill test; none for a mutant that is not live.
    """

    magnitude: float
    mutant: str
    noticed: int
    agents: int
    low: float
    high: float
    verdicts: tuple[KillVerdict, ...]


@dataclass(frozen=True, slots=True)
class MagnitudeCurve:
    """How noticeable one operator is at which magnitude, by the campaign's margin, in the initial environment.

    Attributes:
        operator: the mutants' id without a magnitude (``RN``, ``R[semantics=freeze]``).
        limit: reward below which an agent is noticed; None without a margin.
        healthy_noticed, healthy_agents: healthy agents beyond the same limit.
        points: in rising order; magnitudes with too few agents are left out.
        finding: whether the threshold lies within the swept range, below it, or nowhere in it.
        threshold, low, high: with its 95 % interval; None where the number is outside the swept range.
        function: the fitted curve; None where the shares do not rise steadily.
        reason: why there is no threshold within the range.
    """

    operator: str
    limit: float | None
    healthy_noticed: int
    healthy_agents: int
    points: tuple[MagnitudePoint, ...]
    finding: ThresholdFinding
    threshold: float | None
    low: float | None
    high: float | None
    function: PsychometricFunction | None
    reason: str
