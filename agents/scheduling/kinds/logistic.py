"""Bayesian logistic regression, one batch after another: a Gaussian over the weights that each batch sharpens."""

from __future__ import annotations

import numpy as np

from agents.scheduling.observation import FloatArray

STEPS = 4
"""Newton steps per batch."""
_LARGEST_STEP = 3.0
"""Most that a Newton step may change any logit."""
_SMALLEST_STEP = 1e-3
_LARGEST_LOGIT = 15.0


class Logistic:
    """P(y = 1 | x) = 1 / (1 + exp(-x'w)), w ~ N(mean, precision^-1).

    A batch moves the mean to the posterior mode (Newton) and adds the curvature there to the precision (Laplace;
    Spiegelhalter and Lauritzen 1990, section 4). Then the precision is drawn back to the prior's by `forgetting`.
    Sums are taken without BLAS, so that they do not depend on the number of threads.

    Args:
        prior: mean of the weights before any data, shape (d,).
        precision: of each weight before any data.
        forgetting: what the precision gained still counts after the next batch, in (0, 1].
    """

    def __init__(self, prior: FloatArray, precision: float, forgetting: float) -> None:
        self.mean = prior.copy()
        self.precision = np.eye(len(prior)) * precision
        self._first = precision
        self._forgetting = forgetting

    def logits(self, inputs: FloatArray) -> FloatArray:
        """x'w at the mean, shape (n,)."""
        logits: FloatArray = np.einsum("ij,j->i", inputs, self.mean)
        return logits

    def learn(self, inputs: FloatArray, targets: FloatArray, weights: FloatArray) -> None:
        """One batch: inputs (n, d), targets in [0, 1], and how many observations each counts as, shape (n,)."""
        # Inputs that are 0 for the whole batch say nothing: leaving them out saves most of the time.
        used = np.flatnonzero(inputs.any(axis=0))
        shown = np.ascontiguousarray(inputs[:, used])
        mean, gained = self.mean.copy(), np.zeros((len(used), len(used)))
        for _ in range(STEPS):
            chance = _chance(np.einsum("ij,j->i", shown, mean[used]))
            pull = np.zeros(len(mean))
            pull[used] = np.einsum("ij,i->j", shown, weights * (targets - chance))
            gained = _gram(shown, weights * chance * (1.0 - chance))
            curvature = self.precision.copy()
            curvature[np.ix_(used, used)] += gained
            step = np.linalg.solve(curvature, pull - np.einsum("ij,j->i", self.precision, mean - self.mean))
            largest = float(np.abs(np.einsum("ij,j->i", shown, step[used])).max(initial=0.0))
            mean += step * min(1.0, _LARGEST_STEP / largest) if largest > 0.0 else step
            if largest < _SMALLEST_STEP:
                break
        chance = _chance(np.einsum("ij,j->i", shown, mean[used]))
        self.precision[np.ix_(used, used)] += _gram(shown, weights * chance * (1.0 - chance))
        self.precision *= self._forgetting
        self.precision[np.diag_indices_from(self.precision)] += (1.0 - self._forgetting) * self._first
        self.mean = mean


def _chance(logits: FloatArray) -> FloatArray:
    chance: FloatArray = 1.0 / (1.0 + np.exp(-np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)))
    return chance


def _gram(shown: FloatArray, weights: FloatArray) -> FloatArray:
    gram: FloatArray = np.einsum("ij,ik->jk", shown * weights[:, None], shown)
    return gram
