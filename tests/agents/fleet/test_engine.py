"""The fleet engine as a whole: ordinary zip files, blocks that do not matter, what it declines."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import numpy as np
import pytest
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.evaluation import evaluate_policy

from agents.deeprl.checkpoint import from_bytes, weights_digest
from agents.deeprl.engines.base import AgentSelection
from agents.deeprl.engines.fleet.engine import FleetEngine
from agents.deeprl.engines.fleet.policies import untrained
from agents.deeprl.evaluation import evaluate, evaluate_model
from agents.deeprl.presets.preset import preset
from agents.deeprl.recipe import ExperienceSite
from envsearch.definition import initial_spec
from envsearch.errors import InputError
from envsearch.registry import environment, make
from mutations.folding import mutate
from mutations.parsing import parse_mutant

SMALL: dict[str, dict[str, Any]] = {
    "ppo": {"n_steps": 64, "batch_size": 32, "n_epochs": 2, "net_arch": [8, 8]},
    "a2c": {"net_arch": [8, 8]},
    "dqn": {"net_arch": [8, 8], "learning_starts": 32, "train_freq": 16, "gradient_steps": 8, "batch_size": 16},
}
SITES = ["Ra_1.0", "R_1.0", "M_1.0", "RN_1.0", "NDF", "MTS", "MSU", "ILF"]
CLASSES: dict[str, type[BaseAlgorithm]] = {"ppo": PPO, "a2c": A2C, "dqn": DQN}


def recipe_of(algorithm, steps=256, name="CartPole-v1", **overrides):
    return preset(name, algorithm).recipe(initial_spec(environment(name)), steps, SMALL[algorithm] | overrides)


@pytest.fixture(scope="module")
def trained():
    return {algorithm: FleetEngine().train(recipe_of(algorithm), [5, 6, 7, 8]) for algorithm in SMALL}


@pytest.mark.parametrize("algorithm", SMALL)
def test_a_saved_agent_is_an_ordinary_zip_file(algorithm, trained):
    agent = trained[algorithm][1]
    model = CLASSES[algorithm].load(io.BytesIO(agent.checkpoint))
    place = recipe_of(algorithm).environment
    means, _ = evaluate_policy(model, make(place), n_eval_episodes=1, return_episode_rewards=True)
    assert np.shape(means) == (1,)
    ours = evaluate(agent.checkpoint, algorithm, place, episodes=3)
    assert ours == evaluate_model(model, place, episodes=3)
    assert weights_digest(model) == agent.weights_digest
    assert model.num_timesteps == agent.selected_step == (260 if algorithm == "a2c" else 256)  # whole rollouts
    assert model.seed == 6


@pytest.mark.parametrize("algorithm", SMALL)
def test_training_changes_the_weights_that_the_sb3_engine_would_start_from(algorithm, trained):
    assert weights_digest(untrained(recipe_of(algorithm), 6)) != trained[algorithm][1].weights_digest
    nothing = preset("CartPole-v1", algorithm).recipe(
        recipe_of(algorithm).environment, 256, SMALL[algorithm] | {"learning_rate": 0.0}
    )
    idle = FleetEngine().train(nothing, [6])[0]
    assert weights_digest(untrained(nothing, 6)) == idle.weights_digest


@pytest.mark.parametrize("algorithm", SMALL)
def test_an_agent_does_not_depend_on_its_block(algorithm, trained):
    alone = FleetEngine().train(recipe_of(algorithm), [7])[0]
    among = FleetEngine().train(recipe_of(algorithm), [8, 1, 2, 3, 7, 4])[4]
    expected = trained[algorithm][2]
    for agent in (alone, among):
        assert agent.seed == 7
        assert agent.weights_digest == expected.weights_digest
        assert (agent.episode_steps, agent.episode_returns) == (expected.episode_steps, expected.episode_returns)


@pytest.mark.parametrize("algorithm", SMALL)
def test_episodes_are_recorded_where_they_end(algorithm, trained):
    for agent in trained[algorithm]:
        lengths = np.diff(agent.episode_steps, prepend=0)
        assert np.array_equal(lengths, agent.episode_returns)  # CartPole pays 1 per step
        assert 0 < agent.episode_steps[-1] <= 256


@pytest.mark.parametrize("algorithm", SMALL)
@pytest.mark.parametrize("site", SITES)
def test_every_site_of_probability_zero_is_the_healthy_agent(algorithm, site, trained):
    """A program that carries a fault's numbers, at 0, computes what the healthy one does, bit for bit."""
    healthy = recipe_of(algorithm)
    mutant = mutate(healthy, parse_mutant(site))
    quiet = mutant.replace(
        experience=dataclasses.replace(mutant.experience, probability=0.0, noise_probability=0.0),
        returns=healthy.returns,
        terminal=healthy.terminal,
        state=healthy.state,
        loss=healthy.loss,
    )
    assert mutant != healthy
    agent = FleetEngine().train(quiet, [5])[0]
    assert agent.weights_digest == trained[algorithm][0].weights_digest


@pytest.mark.parametrize("algorithm", SMALL)
@pytest.mark.parametrize(
    "site", ["Ra_1.0", "R_1.0", "M_1.0", "RN_1.0", "NDF", "MTS", "MSU", "ILF", "PAC_Sigmoid", "POC_SGD"]
)
def test_every_fault_changes_the_agent(algorithm, site, trained):
    agent = FleetEngine().train(mutate(recipe_of(algorithm), parse_mutant(site)), [5])[0]
    assert agent.weights_digest != trained[algorithm][0].weights_digest


def test_the_logged_reward_is_the_true_one_unless_the_recipe_says_otherwise():
    noisy = recipe_of("ppo").replace(experience=ExperienceSite(noise_probability=1.0))
    true = FleetEngine().train(noisy, [5])[0]
    assert all(value == round(value) for value in true.episode_returns)
    shown = FleetEngine().train(
        noisy.replace(experience=ExperienceSite(noise_probability=1.0, log_mutated_reward=True)), [5]
    )[0]
    assert shown.episode_steps == true.episode_steps
    assert not all(value == round(value) for value in shown.episode_returns)


def test_progress_ends_with_all_agent_steps():
    reported = []
    FleetEngine().train(recipe_of("a2c", steps=5000), [5, 6], progress=reported.append)
    assert reported[-1] == 10_000 and reported == sorted(reported) and len(reported) > 1


def test_the_best_checkpoint_is_the_best_evaluated():
    selection = AgentSelection("best", every=128, episodes=3, seed=9)
    recipe = recipe_of("ppo", steps=512)
    best = FleetEngine().train(recipe, [5, 6], selection)
    final = FleetEngine().train(recipe, [5, 6])
    for chosen, last in zip(best, final, strict=True):
        score, end = (np.mean(evaluate(agent.checkpoint, "ppo", recipe.environment, 3, 9)) for agent in (chosen, last))
        assert score >= end
        assert chosen.selected_step in (128, 256, 384, 512)
        assert chosen.episode_returns == last.episode_returns


def test_m_and_ra_are_the_same_agents_where_every_reward_is_one():
    first, second = (
        FleetEngine().train(mutate(recipe_of("ppo", steps=512), parse_mutant(name)), [5, 6])
        for name in ("M_0.5", "Ra_0.5")
    )
    assert [agent.weights_digest for agent in first] == [agent.weights_digest for agent in second]


def test_a_hosted_environment_trains_the_same_way():
    recipe = preset("CartPole-v1", "ppo").recipe(initial_spec(environment("LunarLander-v3")), 128, SMALL["ppo"])
    first, second = FleetEngine().train(recipe, [1, 2]), FleetEngine().train(recipe, [2])
    assert first[1].weights_digest == second[0].weights_digest
    assert first[0].weights_digest != first[1].weights_digest
    assert from_bytes(first[0].checkpoint, "ppo").observation_space.shape == (8,)


@pytest.mark.parametrize(
    ("algorithm", "overrides", "reason"),
    [
        ("ppo", {"target_kl": 0.1}, "target_kl"),
        ("ppo", {"use_sde": True}, "use_sde"),
        ("dqn", {"n_steps": 3}, "n_steps"),
        ("ppo", {"activation": "GELU"}, "GELU"),
        ("ppo", {"optimizer": "Adagrad"}, "Adagrad"),
        ("ppo", {"net_arch": []}, "hidden layer"),
    ],
)
def test_what_it_cannot_do_it_declines_with_the_reason(algorithm, overrides, reason):
    recipe = recipe_of(algorithm, **overrides)
    assert reason in (FleetEngine().objection(recipe) or "")
    with pytest.raises(InputError, match=reason):
        FleetEngine().train(recipe, [0])


def test_what_it_can_do_it_does_not_decline():
    for name in ("CartPole-v1", "LunarLander-v3"):
        for algorithm in SMALL:
            assert FleetEngine().objection(preset(name, algorithm).recipe(initial_spec(environment(name)), 100)) is None
