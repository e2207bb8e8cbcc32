"""Many comparisons at once give the p-values that each gives alone."""

import numpy as np
import pytest

from mutations.killing.permutation_batch import batch_p_values, smallest_single_p
from mutations.killing.permutation_law import permutation_p_value
from mutations.killing.splits import drawn_splits


@pytest.mark.parametrize("sizes", [(20, 6), (20, 20), (12, 15)])
def test_a_batch_gives_the_p_values_of_single_comparisons(sizes):
    rng = np.random.default_rng(0)
    n, m = sizes
    splits = drawn_splits(n, m, rng, 999)
    healthy, mutant = rng.normal(size=(30, n)), rng.normal(size=(30, m)) - np.linspace(0, 2, 30)[:, None]
    healthy[:10], mutant[:10] = np.round(healthy[:10], 2), np.round(mutant[:10], 2)  # some ties
    alone = [permutation_p_value(*pair, rng, splits).p_value for pair in zip(healthy, mutant, strict=True)]
    assert batch_p_values(healthy, mutant, splits) == pytest.approx(alone, abs=1e-12)
    assert np.all(smallest_single_p(healthy, mutant, splits) <= np.array(alone) + 1e-12)
    assert min(alone) == pytest.approx(0.001)
    assert max(alone) > 0.2


def test_equal_rewards_give_one():
    splits = drawn_splits(6, 6, np.random.default_rng(0), 99)
    assert batch_p_values(np.full((2, 6), 5.0), np.full((2, 6), 5.0), splits) == pytest.approx([1, 1])
