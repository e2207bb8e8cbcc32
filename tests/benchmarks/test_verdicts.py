"""The simulations of verdicts: their laws, and that each section runs and finds what it must."""

import numpy as np
import pytest

from benchmarks.sections import as_table
from benchmarks.verdict_laws import ALTERNATIVES, EXCHANGEABLE, atoms, draw_pairs, lognormal, mean_of, saturated
from benchmarks.verdicts import run


def test_laws_have_their_means() -> None:
    assert mean_of(lognormal(100.0, 0.5)) == pytest.approx(100.0, rel=1e-3)
    assert mean_of(atoms(0.05)) == pytest.approx(475.0)
    assert mean_of(saturated(0.85)) == pytest.approx(0.85 * 500 + 0.15 * 250)
    assert mean_of(ALTERNATIVES["lognormal, -0.5 sd"][1]) == pytest.approx(100.0 - 65.54, rel=1e-2)


def test_twins_are_correlated_as_requested() -> None:
    rng = np.random.default_rng(0)
    law = EXCHANGEABLE["normal"]
    for correlation in (-0.5, 0.0, 0.9):
        healthy, mutant = draw_pairs((law, law), (20, 20), 500, rng, correlation)
        assert np.corrcoef(healthy.ravel(), mutant.ravel())[0, 1] == pytest.approx(correlation, abs=0.05)


def test_a_section_is_reproducible_and_becomes_a_table() -> None:
    rows = run(["fixed", "power"], 20, 0, lambda line: None)
    assert rows[-8:] == run(["power"], 20, 0, lambda line: None)
    assert {row.values["killed"] for row in rows if "499.9" in row.case} == {0.0}
    assert all(
        row.values["survived"] == 0.0 for row in rows if "collapsed" in row.case and row.section == "fixed cases"
    )
    assert as_table(rows).count("| all at 500, 30 % collapse |") == 1
