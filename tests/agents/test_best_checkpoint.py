"""Which checkpoint of a training is the best: both engines, with scripted evaluations."""

from __future__ import annotations

import numpy as np
import pytest

from agents.deeprl.engines.base import AgentSelection, at_least_as_good
from agents.deeprl.engines.fleet import choice
from agents.deeprl.engines.sb3 import recording
from agents.deeprl.engines.sb3.engine import train_one

SELECTION = AgentSelection("best", every=32, episodes=2)
CASES = [
    ([500.0, 500.0, 500.0, 500.0], 3),
    ([10.0, 500.0, 490.0, 500.0], 3),
    ([10.0, 500.0, 500.0, 490.0], 2),
    ([500.0, 499.9, 20.0, 10.0], 0),
    ([7.0, 8.0, 9.0, 10.0], 3),
    ([0.1 + 0.2, 0.3, 0.2, 0.1], 1),  # .30000000000000004 and .3: rounding
    ([float("nan"), 5.0, 4.0, 3.0], 1),
]
"""Mean return at each of four checkpoints, and the checkpoint that is kept: the latest of the best ones."""


@pytest.mark.parametrize(("means", "kept"), CASES)
def test_the_library_keeps_the_latest_of_equals(means, kept, small_recipe, monkeypatch):
    scripted = iter(means)
    monkeypatch.setattr(recording, "evaluate_model", lambda *arguments: (next(scripted),) * 2)
    # 128 steps: evaluated at 32, 64, 96, 128 and, as the final model, once more at 128
    monkeypatch.setattr(recording.Recording, "consider", _once_per_step(recording.Recording.consider))
    assert train_one(small_recipe("ppo"), 0, SELECTION).selected_step == 32 * (kept + 1)


def _once_per_step(consider):
    def considered(self, model):
        if getattr(self, "_considered_at", None) != model.num_timesteps:
            self._considered_at = model.num_timesteps
            consider(self, model)

    return considered


def parameters(number, weight=1.0):
    """Networks of two agents that carry the checkpoint's number."""
    layer = (np.full((2, 4, 2), weight, np.float32), np.full((2, 2), number, np.float32))
    return {"actor": (layer,), "critic": (layer,)}


@pytest.mark.parametrize(("means", "kept"), CASES)
def test_the_fleet_keeps_the_latest_of_equals(means, kept, small_recipe, monkeypatch):
    best = choice.Best(small_recipe("ppo"), SELECTION, 2)
    for number, mean in enumerate(means):
        monkeypatch.setattr(choice, "evaluate_policies", lambda *a, m=mean, n=number: [(m, m), (float(n), float(n))])
        best.consider(parameters(number), 100 * (number + 1))
    assert best.steps == [100 * (kept + 1), 400]
    assert best.parameters["actor"][0][1][:, 0].tolist() == [kept, 3]


def test_a_dead_checkpoint_is_kept_only_until_there_is_a_living_one(small_recipe, monkeypatch):
    best = choice.Best(small_recipe("ppo"), SELECTION, 2)
    monkeypatch.setattr(choice, "evaluate_policies", lambda *arguments: [(9.0,), (9.0,)])
    for number, weight in enumerate([np.nan, 1.0, np.nan]):
        best.consider(parameters(number, weight), 100 * (number + 1))
    assert best.steps == [200, 200]


def test_the_library_never_keeps_a_dead_checkpoint(small_recipe, monkeypatch):
    monkeypatch.setattr(recording, "evaluate_model", lambda *arguments: (9.0,))
    monkeypatch.setattr(recording, "weights_finite", lambda model: model.num_timesteps <= 64)
    assert train_one(small_recipe("ppo"), 0, SELECTION).selected_step == 64


@pytest.mark.parametrize(
    ("mean", "best", "good"),
    [(500.0, 500.0, True), (499.9999, 500.0, False), (-1e6, -np.inf, True), (1e-10, 0.0, True), (-1e-10, 0.0, True)],
)
def test_a_difference_of_rounding_counts_as_equal(mean, best, good):
    assert at_least_as_good(mean, best) is good
