"""The correction of a family: all comparisons of a report that corrected tests have judged, adjusted together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mutations.killing.error_control import PValues, error_control
from mutations.killing.kill_test import CorrectedKillTest, Correction, KillTest, KillVerdict, Outcome, is_corrected


@dataclass(frozen=True, slots=True)
class CorrectedFamily:
    """Verdicts after correction.

    Attributes:
        verdicts: in the order of the comparisons; those of tests that are not corrected are unchanged.
        comparisons: size of the family.
        kills: comparisons of the family that are killed after correction.
    """

    verdicts: tuple[KillVerdict, ...]
    comparisons: int
    kills: int


def correct_family(verdicts: Sequence[KillVerdict], tests: Sequence[KillTest], control: str) -> CorrectedFamily:
    """Correct verdicts for the number of all comparisons, whatever their test, mutant and environment.

    A comparison without a p-value (a mutant killed by crash, populations that are too small) takes no part and stays.
    One that shows a difference within the margin, so no kill, enters with a p-value of 1: what is controlled are false
    *kills*.

    Args:
        verdicts: as `judge` gave them.
        tests: the test of each verdict.
        control: name in the table of error controls.

    Raises:
        InputError: the control is unknown.
    """
    corrected = list(verdicts)
    members = [
        (position, test)
        for position, (verdict, test) in enumerate(zip(verdicts, tests, strict=True))
        if is_corrected(test) and verdict.p_value is not None
    ]
    p_values = np.array([claimed_p_value(verdicts[position], test) for position, test in members], dtype=np.float64)
    for (position, test), correction in zip(members, _corrections(p_values, members, control), strict=True):
        corrected[position] = test.conclude(verdicts[position], correction)
    kills = sum(corrected[position].outcome is Outcome.KILLED for position, _ in members)
    return CorrectedFamily(tuple(corrected), len(members), kills)


def claimed_p_value(verdict: KillVerdict, test: CorrectedKillTest) -> float:
    """The p-value of the claim that the mutant is killed."""
    p_value = 1.0 if verdict.p_value is None else verdict.p_value
    return 1.0 if p_value <= test.level and verdict.outcome is not Outcome.KILLED else p_value


def _corrections(p_values: PValues, members: Sequence[tuple[int, CorrectedKillTest]], name: str) -> list[Correction]:
    control = error_control(name)
    adjusted = control.adjust(p_values)
    by_level = {level: control.levels(p_values, level) for level in {test.level for _, test in members}}
    return [
        Correction(float(adjusted[row]), float(by_level[test.level][row]), len(members), control.method)
        for row, (_, test) in enumerate(members)
    ]
