"""The simulation of intervals, and that the page shows its table."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.reliability import LAWS, SIZES, STATISTICS, as_table, run, threshold_of, true_value

PAGE = Path(__file__).parents[2] / "docs" / "agent-reliability.md"


def test_true_values_by_hand() -> None:
    normal, saturated = LAWS["normal"], LAWS["85 % at 500"]
    assert true_value("interquartile mean", normal) == pytest.approx(0.0, abs=1e-6)
    assert true_value("interquartile mean", saturated) == 500.0
    assert true_value("performance profile", normal) == pytest.approx(0.7, abs=1e-3)
    assert threshold_of(saturated) == 499.9
    assert true_value("performance profile", saturated) == pytest.approx(0.85, abs=1e-3)
    # worse by half an interquartile range, .674 standard deviations: Phi(-.674 / sqrt 2)
    assert true_value("probability of improvement", normal) == pytest.approx(0.3167, abs=1e-3)
    # 85 against 60 % at 500, uniform below: ties at 500, wins of 500 over the rest, half of the rest against the rest
    expected = 0.85 * 0.6 / 2 + 0.6 * 0.15 + 0.4 * 0.15 / 2
    assert true_value("probability of improvement", saturated) == pytest.approx(expected, abs=1e-3)


def test_table_and_page_have_the_same_rows() -> None:
    rows = run(2, 0)
    lines = as_table(rows).splitlines()[2:]
    assert len(lines) == len(STATISTICS) * len(LAWS)
    for line in lines:
        head = "|".join(line.split("|")[:3])
        (printed,) = [text for text in PAGE.read_text(encoding="utf-8").splitlines() if text.startswith(head)]
        shares = [float(number) for number in re.findall(r"\d+\.\d", printed)]
        assert len(shares) == len(SIZES)
        assert np.all((np.array(shares) > 70) & (np.array(shares) <= 100))
