"""Clusters by average linkage: two groups join while the mean distance between their members is small enough."""

from __future__ import annotations

import numpy as np

from agents.scheduling.observation import FloatArray, IntArray


def average_linkage(distances: FloatArray, threshold: float) -> list[IntArray]:
    """The groups of n items after joining the closest two while they are at most `threshold` apart; members ascend.

    Args:
        distances: symmetric, shape (n, n).
    """
    labels = np.arange(len(distances))
    for first, second, distance in _joins(distances):
        if distance <= threshold:
            labels[labels == labels[first]] = labels[second]
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _joins(distances: FloatArray) -> list[tuple[int, int, float]]:
    """The n - 1 joins of the whole tree: a member of each group, and their distance.

    By the nearest-neighbour chain (Murtagh 1985, section 3): with average linkage it finds the joins of the closest two
    groups, in another order, in quadratic time.
    """
    between, sizes = distances.copy(), np.ones(len(distances))
    np.fill_diagonal(between, np.inf)
    joins: list[tuple[int, int, float]] = []
    chain: list[int] = []
    while len(joins) < len(distances) - 1:
        if not chain:
            chain.append(int(np.argmax(sizes > 0.0)))
        _extend(chain, between)
        first, second = sorted((chain.pop(), chain.pop()))
        joins.append((first, second, float(between[first, second])))
        _merge(between, sizes, first, second)
    return joins


def _extend(chain: list[int], between: FloatArray) -> None:
    """Append the nearest neighbour of the last group until the last two are each other's."""
    while True:
        last = chain[-1]
        nearest = int(np.argmin(between[last]))
        # Of equally near ones the one before: otherwise the chain could run in a circle.
        if len(chain) > 1 and between[last, chain[-2]] <= between[last, nearest]:
            return
        chain.append(nearest)


def _merge(between: FloatArray, sizes: FloatArray, removed: int, kept: int) -> None:
    """Put the members of one group into the other."""
    total = sizes[removed] + sizes[kept]
    joined = (sizes[removed] * between[removed] + sizes[kept] * between[kept]) / total
    between[removed] = between[:, removed] = np.inf
    joined[removed] = np.inf
    between[kept] = between[:, kept] = joined
    sizes[removed], sizes[kept] = 0.0, total
