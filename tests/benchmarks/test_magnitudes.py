"""The simulation of magnitude curves runs, is reproducible, and its laws have the threshold that they claim."""

import numpy as np
import pytest

from benchmarks import magnitudes
from benchmarks.magnitudes import LAWS, MAGNITUDES, MARGIN, as_table, run


@pytest.mark.parametrize("law", [law for law in LAWS if "slope 2" not in law])
def test_laws_are_halfway_up_at_their_threshold(law: str) -> None:
    index = 3
    rng = np.random.default_rng(0)
    healthy, *mutants = LAWS[law](rng, 20_000, float(MAGNITUDES[index]))
    limit = np.mean(healthy) - MARGIN
    guess = np.mean(healthy < limit)
    assert np.mean(mutants[index] < limit) == pytest.approx((1 + guess) / 2, abs=0.02)


def test_rows_are_reproducible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(magnitudes, "LAWS", {name: LAWS[name] for name in list(LAWS)[:1]})
    monkeypatch.setattr(magnitudes, "SIZES", (10,))
    rows = run(8, 0, lambda line: None)
    assert as_table(rows) == as_table(run(8, 0, lambda line: None))
    assert [row.reported for row in rows[:2]] == [1.0, 0.0]
    assert as_table(rows).count("\n") == 4
