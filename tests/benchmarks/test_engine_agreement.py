"""What the comparison of the two engines answers, and the table of docs/performance.md."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.engine_agreement import LARGE_EFFECT, answer_of_interval, compared
from mutations.killing.margins import Margins
from mutations.killing.statistics import newcombe_interval

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
AGENTS = 20


def populations(shift: float, agents: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.normal(400.0, 10.0, agents), rng.normal(400.0 + shift, 10.0, agents)


@pytest.mark.parametrize(
    ("shift", "agents", "answer"),
    [(0.0, 100, "equivalent"), (-80.0, 20, "different"), (80.0, 20, "different"), (0.0, 20, "inconclusive")],
)
def test_answers(shift: float, agents: int, answer: str) -> None:
    library, fleet = populations(shift, agents)
    result = compared(library, fleet, Margins())
    assert result["answer"] == answer
    assert result["low"] < result["difference"] < result["high"]
    assert json.loads(json.dumps(result))["fleet"] == fleet.tolist()


def test_a_large_p_value_is_not_equivalence() -> None:
    library, fleet = populations(0.0, 20)
    result = compared(library, fleet, Margins())
    assert result["p_value"] > 0.3
    assert result["answer"] == "inconclusive"


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    [
        (0.3, 0.7, "equivalent"),
        (0.29, 0.6, "inconclusive"),
        (0.2, 0.4, "inconclusive"),
        (0.1, 0.28, "different"),
        (0.72, 0.9, "different"),
    ],
)
def test_answer_of_an_interval(low: float, high: float, answer: str) -> None:
    assert answer_of_interval(low, high, LARGE_EFFECT) == answer


def test_the_page_follows_from_its_figures() -> None:
    cell = r"([\d.]+) \| ([\d.]+) \| ([+-]\d+) % \| [.\d]+ \| (\.\d+) \[(\.\d+), (\.\d+)\] \| (\w+)"
    rows = re.findall(cell, PAGE.read_text(encoding="utf-8"))
    assert len(rows) == 6
    for sb3, fleet, percent, a, low, high, answer in rows:
        assert round(100 * (float(fleet) / float(sb3) - 1)) == int(percent)
        interval = newcombe_interval(float(a), AGENTS, AGENTS, 0.90)
        assert (float(low), float(high)) == pytest.approx(interval, abs=0.005)
        assert answer == answer_of_interval(*interval)
    assert [row[-1] for row in rows].count("inconclusive") == 3
