"""The benchmarks of looks run, and their arithmetic is right."""

import numpy as np
import pytest

from benchmarks import sequential, sequential_replay
from benchmarks.sequential import SECTIONS, Simulation, as_table
from benchmarks.verdict_laws import normal
from mutations.killing.kill_test import Outcome
from mutations.killing.sequential_looks import DEFAULT_LOOKS, Looks


@pytest.mark.parametrize("name", ["power", "survival"])
def test_sections_run(name, monkeypatch):
    for table in ("ALTERNATIVES", "OBVIOUS"):
        monkeypatch.setattr(sequential, table, dict(list(getattr(sequential, table).items())[-1:]))
    rows = list(SECTIONS[name](Simulation(2, 4, np.random.default_rng(0))))
    assert as_table(rows).count("\n") == len(rows) + 1


def test_null_families_have_p_values_of_every_look_and_mutant(monkeypatch):
    monkeypatch.setattr(sequential, "EXCHANGEABLE", {"normal": normal(0.0, 1.0)})
    (row,) = sequential.false_kills(Simulation(3, 0, np.random.default_rng(0)))
    assert set(row.values) == {"any, false_discovery", "any, familywise", "each mutant"}
    p_values = sequential._null_p_values(normal(0.0, 1.0), 2, {}, np.random.default_rng(1))
    assert p_values.shape == (2, 4, 12)
    assert np.all((p_values > 0) & (p_values <= 1))


def test_stopping_is_at_the_first_look_that_rejects():
    p_values = np.array([[0.9, 0.04, 0.9, 0.9], [0.9, 0.9, 0.9, 0.9], [0.01, 0.01, 0.01, 0.01]])
    assert sequential._stopped(p_values, 0.05) == (pytest.approx(2 / 3), pytest.approx((10 + 20 + 6) / 3))


def test_a_replay_stops_the_obvious_and_gives_the_same_outcomes():
    rng = np.random.default_rng(0)
    rewards = {"Healthy": rng.normal(480, 10, 20), "dead": rng.normal(20, 5, 20), "same": rng.normal(480, 10, 20)}
    row = sequential_replay.replay("made up", rewards | {"dead-same": rng.normal(20, 5, 20)}, Looks())
    assert (row.mutants, row.trainings, row.looks_trainings, row.differences) == (2, 60, 46, ())
    assert row.stops == {"dead": 6, "same": 20}
    assert (row.groups, row.looks_groups) == (15, 5 + 2 + 7)
    assert "| 0.77 | 0.93 |" in sequential_replay.as_table([row])
    stops, verdicts = sequential_replay.look_by_look(rewards["Healthy"], {"dead": rewards["dead"]}, Looks())
    assert (stops, verdicts["dead"].outcome) == ({"dead": 6}, Outcome.KILLED)


def test_the_shipped_campaign_needs_less_than_seven_tenths_of_the_trainings():
    path = sequential_replay.FOLDER / "cartpole_ppo" / "rewards.csv"
    rewards = sequential_replay.populations(path)
    assert {values.size for values in rewards.values()} == {20}
    row = sequential_replay.replay("cartpole_ppo", rewards, Looks(DEFAULT_LOOKS))
    assert row.looks_trainings <= 0.7 * row.trainings
    assert row.differences == ()
