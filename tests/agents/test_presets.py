"""Presets: the published budgets and hyper-parameters, each with its source."""

from __future__ import annotations

import pytest

from agents.deeprl.presets import PRESETS, preset
from envsearch.errors import InputError
from envsearch.spec import EnvironmentSpec

PUBLISHED_STEPS = {
    ("CartPole-v1", "ppo"): 200_000,
    ("CartPole-v1", "a2c"): 1_000_000,
    ("CartPole-v1", "dqn"): 50_000,
    ("LunarLander-v3", "ppo"): 2_000_000,
    ("LunarLander-v3", "a2c"): 2_000_000,
    ("LunarLander-v3", "dqn"): 100_000,
}


@pytest.mark.parametrize("pair", sorted(PRESETS))
def test_budget_and_a_source_for_every_number(pair):
    loaded = preset(*pair)
    assert loaded.total_steps == PUBLISHED_STEPS[pair]
    named = {name for name, _ in loaded.sources}
    policy_fields = {"activation", "optimizer", "optimizer_kwargs", "net_arch"}
    assert named == {name for name, _ in loaded.hyperparameters} | policy_fields | {"total_steps", "threshold"}
    assert all(source for _, source in loaded.sources)


def test_the_published_a2c_uses_adam_and_the_library_rmsprop():
    assert preset("CartPole-v1", "a2c").policy.optimizer == "Adam"
    assert preset("Acrobot-v1", "a2c").policy.optimizer == "RMSprop"


def test_unknown_hyperparameter_names_the_nearest():
    with pytest.raises(InputError, match=r"hyperparameters\.n_step: .*did you mean 'n_steps'"):
        preset("CartPole-v1", "ppo").recipe(EnvironmentSpec("CartPole-v1"), overrides={"n_step": 3})


def test_a_pair_without_preset_needs_steps():
    with pytest.raises(InputError, match="steps"):
        preset("Acrobot-v1", "ppo").recipe(EnvironmentSpec("Acrobot-v1"))
    recipe = preset("Acrobot-v1", "ppo").recipe(EnvironmentSpec("Acrobot-v1"), steps=10)
    assert recipe.hyperparameter("n_steps") == 2048


def test_a_users_algorithm_is_read_from_its_class():
    loaded = preset("Pendulum-v1", "stable_baselines3:SAC")
    assert loaded.policy.activation == "ReLU"
    assert dict(loaded.hyperparameters)["gamma"] == 0.99


@pytest.mark.parametrize("name", ["pppo", "json:dumps", "no_such_module:X"])
def test_unknown_algorithm(name):
    with pytest.raises(InputError, match="algorithm"):
        preset("CartPole-v1", name)
