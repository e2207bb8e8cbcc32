"""Average linkage gives the clusters that scipy's gives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from agents.scheduling.average_linkage import average_linkage


def reference(distances, threshold):
    labels = fcluster(linkage(squareform(distances, checks=False), "average"), threshold, "distance")
    return sorted(np.flatnonzero(labels == label).tolist() for label in np.unique(labels))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("threshold", [0.2, 0.4, 0.6])
def test_clusters_equal_scipys(seed, threshold):
    rng = np.random.default_rng(seed)
    # Points around a few centres; rounded, so that many distances tie.
    points = rng.normal(rng.integers(0, 4, (40, 1)), 0.3, (40, 3))
    distances = np.linalg.norm(points[:, None] - points[None, :], axis=-1) / 4.0
    if seed % 2:
        distances = np.round(distances, 1)
    np.fill_diagonal(distances, 0.0)
    assert sorted(group.tolist() for group in average_linkage(distances, threshold)) == reference(distances, threshold)


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_to_join(count):
    assert [group.tolist() for group in average_linkage(np.zeros((count, count)), 1.0)] == [[0]] * count
