"""The binning rule of the published distance test, pinned: numpy changed its own rule ``auto`` after 1.23."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mutations.killing.statistics import Rewards

_MOST_BINS = 2**52  # beyond this the bins are finer than floats; every distinct value then has its own bin


def bin_count(values: Rewards) -> int:
    """Number of equal bins between the smallest and the largest value, as numpy 1.23 chose it for ``auto``.

    The width is the smaller of the rules of Freedman-Diaconis and of Sturges, and Sturges' alone when half of the
    values are equal.
    """
    span = float(np.max(values) - np.min(values))
    if span == 0:
        return 1
    upper, lower = np.percentile(values, [75, 25])
    freedman_diaconis = 2.0 * float(upper - lower) * values.size ** (-1.0 / 3.0)
    sturges = span / (math.log2(values.size) + 1.0)
    width = min(freedman_diaconis, sturges) if freedman_diaconis > 0 else sturges
    bins = span / width if width > 0 else math.inf
    return math.ceil(bins) if bins < _MOST_BINS else _MOST_BINS


def occupied_bins(values: Rewards) -> tuple[NDArray[np.int64], int]:
    """For every value the rank of its bin among the bins that hold any value, and how many such bins there are.

    Empty bins add nothing to a distance between histograms, so heavy tails, which ask for millions of bins, cost no
    memory. Bins are half open, the last one closed, with the edges that ``numpy.linspace`` would give.
    """
    first, last, bins = float(np.min(values)), float(np.max(values)), bin_count(values)
    if bins == 1:
        return np.zeros(values.size, dtype=np.int64), 1
    step = (last - first) / bins
    if bins == _MOST_BINS or step == 0:
        distinct, ranks = np.unique(values, return_inverse=True)
        return ranks.astype(np.int64), int(distinct.size)
    index = np.clip(np.floor((values - first) / step), 0, bins - 1)
    index -= values < index * step + first  # the division may round across an edge; the edge itself decides
    index += (values >= (index + 1) * step + first) & (index < bins - 1)
    occupied, ranks = np.unique(index, return_inverse=True)
    return ranks.astype(np.int64), int(occupied.size)
