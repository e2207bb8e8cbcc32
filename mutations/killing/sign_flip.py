"""Two-sided sign-flip permutation test of a mean paired difference, exact wherever that is cheap."""

from __future__ import annotations

import numpy as np

from mutations.killing.statistics import Rewards

EXACT_UP_TO = 30
FLIPS = 9_999
_ROUNDING = 1e-12
_CHUNK = 1_000


def paired_differences(healthy: Rewards, mutant: Rewards) -> Rewards:
    """Mutant minus healthy, shape (n,); differences that are mere rounding of the rewards are exactly 0."""
    differences = mutant - healthy
    noise = _ROUNDING * np.maximum(np.abs(healthy), np.abs(mutant))
    return np.where(np.abs(differences) <= noise, 0.0, differences)


def sign_flip_p_value(differences: Rewards, rng: np.random.Generator) -> float:
    """Share of sign patterns whose sum lies at least as far from 0 as the observed one.

    If a healthy agent and its mutant twin are exchangeable, every pattern of signs was equally likely, so the p-value
    is valid at any n and for any law of the rewards. Differences of 0 take no part. Up to 30 others all patterns
    are counted and `rng` is not used; beyond, 9,999 random patterns are drawn and p = (b + 1) / (9,999 + 1).

    Source: Fisher, "The Design of Experiments", 1935, section 21; Phipson and Smyth, "Permutation p-values should
    never be zero", Statistical Applications in Genetics and Molecular Biology 9(1), 2010.
    """
    sizes = np.abs(differences[differences != 0])
    if sizes.size == 0:
        return 1.0
    # Sums that differ by rounding only are ties, and a tie counts as "as far": the cautious side.
    reached = abs(float(np.sum(differences))) - 1e-9 * float(np.sum(sizes))
    if reached <= 0:
        return 1.0
    if sizes.size <= EXACT_UP_TO:
        return _exact(sizes, reached)
    return _sampled(sizes, reached, rng)


def smallest_p_value(nonzero: int) -> float:
    """The p-value that `nonzero` differences of one sign have: no p can be smaller."""
    return min(1.0, 2.0 ** (1 - nonzero)) if nonzero else 1.0


def _exact(sizes: Rewards, reached: float) -> float:
    """Counts the patterns by meeting in the middle: 2^(k/2) sums of each half instead of 2^k of the whole."""
    middle = sizes.size // 2
    left, right = _signed_sums(sizes[:middle]), np.sort(_signed_sums(sizes[middle:]))
    below = np.searchsorted(right, reached - left, side="left")
    above = left.size * right.size - int(np.sum(below))
    return min(1.0, 2.0 * above / (left.size * right.size))


def _signed_sums(sizes: Rewards) -> Rewards:
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate((sums - size, sums + size))
    return sums


def _sampled(sizes: Rewards, reached: float, rng: np.random.Generator) -> float:
    reaching = 0
    for start in range(0, FLIPS, _CHUNK):
        rows = min(_CHUNK, FLIPS - start)
        signs = 2.0 * rng.integers(0, 2, size=(rows, sizes.size), dtype=np.int8) - 1.0
        reaching += int(np.count_nonzero(np.abs(signs @ sizes) >= reached))
    return (reaching + 1) / (FLIPS + 1)
