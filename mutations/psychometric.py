"""The psychometric function: the chance that a mutant agent is noticed, as a function of the fault's magnitude.

    chance(x) = guess + (1 - guess - lapse) F(slope (ln x - ln threshold)),  F(z) = 1 / (1 + exp(-z))

`guess` is the share of healthy agents that would be noticed too (magnitude 0), `lapse` the share of agents that escape
however strong the fault is. At the threshold the chance is halfway between its two ends. The logistic function of
ln x, not of x, because its lower end is magnitude 0: there a mutant is the healthy agent.

Source: Wichmann and Hill, "The psychometric function: I. Fitting, sampling, and goodness of fit", Perception &
Psychophysics 63(8), 2001, equation 1. `mutations.psychometric_fit` fits it; this module needs no scipy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

LEAST_MAGNITUDES = 3
"""Fewer do not determine a curve."""


class ThresholdFinding(StrEnum):
    """Where the threshold lies: between two swept magnitudes, below the smallest, or nowhere within the range."""

    WITHIN = "within"
    BELOW = "below"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class PsychometricFunction:
    """The four parameters; `slope` is per unit of ln(magnitude)."""

    guess: float
    lapse: float
    threshold: float
    slope: float

    def chance(self, magnitudes: Numbers) -> Numbers:
        """Chance that an agent is noticed at each magnitude; 0 is the healthy agent."""
        with np.errstate(divide="ignore", over="ignore"):
            places = self.slope * (np.log(magnitudes) - math.log(self.threshold))
            chances: Numbers = self.guess + (1 - self.guess - self.lapse) / (1 + np.exp(-places))
        return chances
