"""The reference engine: equal to plain Stable-Baselines3 without faults, and to the formulas with them."""

from __future__ import annotations

import io
import tempfile
from typing import Any

import gymnasium
import numpy as np
import pytest
import stable_baselines3
import torch
from stable_baselines3.common.monitor import Monitor

from agents.deeprl.checkpoint import from_bytes, weights_digest
from agents.deeprl.engines.base import AgentSelection
from agents.deeprl.engines.registry import engine
from agents.deeprl.engines.sb3.build import build
from agents.deeprl.engines.sb3.engine import train_one
from agents.deeprl.evaluation import evaluate
from agents.deeprl.recipe import ExperienceSite, LossSite, PolicySite, StateSite, TerminalSite
from envsearch.errors import CorruptArtifactError, InputError
from envsearch.spec import EnvironmentSpec

ALGORITHMS = ["ppo", "a2c", "dqn"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_healthy_recipe_is_plain_stable_baselines3_bit_for_bit(small_recipe, algorithm):
    recipe = small_recipe(algorithm)
    policy = {
        "net_arch": list(recipe.policy.net_arch),
        "activation_fn": getattr(torch.nn, recipe.policy.activation),
        "optimizer_class": torch.optim.Adam,
        "optimizer_kwargs": dict(recipe.policy.optimizer_kwargs),
    }
    extra = {"use_rms_prop": False} if algorithm == "a2c" else {}
    plain = getattr(stable_baselines3, algorithm.upper())(
        "MlpPolicy",
        Monitor(gymnasium.make("CartPole-v1")),
        policy_kwargs=policy,
        seed=3,
        device="cpu",
        **dict(recipe.hyperparameters),
        **extra,
    )
    plain.learn(recipe.total_steps)
    assert train_one(recipe, 3, AgentSelection()).weights_digest == weights_digest(plain)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_seams_of_healthy_sites_change_no_bit(small_recipe, algorithm):
    recipe = small_recipe(algorithm)
    with_seams = train_one(recipe, 1, AgentSelection(), all_seams=True)
    without = train_one(recipe, 1, AgentSelection())
    assert with_seams.weights_digest == without.weights_digest
    assert with_seams.episode_returns == without.episode_returns


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_training_leaves_no_folder_behind(small_recipe, algorithm, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    trained = train_one(small_recipe(algorithm), 1, AgentSelection())
    assert not list(tmp_path.iterdir())
    loaded = getattr(stable_baselines3, algorithm.upper()).load(io.BytesIO(trained.checkpoint), env=None)
    assert not loaded._custom_logger, "whoever loads it and trains it on has the library's own logs"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_same_seed_same_bits_other_seed_other_bits(small_recipe, algorithm):
    first, again, other = engine("sb3").train(small_recipe(algorithm), [5, 5, 6], AgentSelection())
    assert first.weights_digest == again.weights_digest != other.weights_digest
    assert first.episode_steps == again.episode_steps


def test_training_leaves_the_callers_randomness_alone(small_recipe):
    torch.manual_seed(7)
    np.random.seed(7)
    train_one(small_recipe("a2c"), 0, AgentSelection())
    drawn = torch.rand(1).item(), np.random.rand()
    torch.manual_seed(7)
    np.random.seed(7)
    assert drawn == (torch.rand(1).item(), np.random.rand())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_faulty_agents_file_loads_without_proctor(small_recipe, algorithm):
    recipe = small_recipe(algorithm).replace(
        loss=LossSite(1.0), state=StateSite(1.0), terminal=TerminalSite(1.0), experience=ExperienceSite("repeat", 1.0)
    )
    agent = train_one(recipe, 0, AgentSelection())
    assert b"agents.deeprl" not in agent.checkpoint
    model = getattr(stable_baselines3, algorithm.upper()).load(io.BytesIO(agent.checkpoint))
    assert weights_digest(model) == agent.weights_digest
    module = type(model.rollout_buffer if algorithm != "dqn" else model.replay_buffer).__module__
    assert module.startswith("stable_baselines3")


def gradients(model, recipe, inverted):
    model.policy.zero_grad()
    buffer = model.rollout_buffer
    data = next(buffer.get(32))
    values, log_prob, entropy = model.policy.evaluate_actions(data.observations, data.actions.long().flatten())
    advantages = data.advantages
    if recipe.hyperparameter("normalize_advantage"):
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    if recipe.algorithm == "ppo":
        ratio = torch.exp(log_prob - data.old_log_prob)
        clip = recipe.hyperparameter("clip_range")
        objective = torch.min(advantages * ratio, advantages * torch.clamp(ratio, 1 - clip, 1 + clip)).mean()
    else:
        objective = (advantages * log_prob).mean()
    value_loss = torch.nn.functional.mse_loss(data.returns, values.flatten())
    sign = 1.0 if inverted else -1.0
    ent_coef = recipe.hyperparameter("ent_coef")
    (sign * objective - ent_coef * entropy.mean() + recipe.hyperparameter("vf_coef") * value_loss).backward()
    return torch.cat([p.grad.flatten() for p in model.policy.parameters()])


@pytest.mark.parametrize("algorithm", ["ppo", "a2c"])
def test_inverted_policy_loss_has_exactly_the_gradient_of_the_formula(small_recipe, algorithm):
    healthy = small_recipe(algorithm)
    pairs = tuple((dict(healthy.hyperparameters) | {"ent_coef": 0.1, "n_steps": 64}).items())
    healthy = healthy.replace(hyperparameters=pairs)
    models: list[Any] = [build(healthy, 0), build(healthy.replace(loss=LossSite(1.0)), 0)]
    for model in models:
        model.learn(1)  # one rollout and its update: weights now differ from those that collected it
    source = models[0].rollout_buffer
    for model in models:
        model.policy.load_state_dict(models[0].policy.state_dict())
        model.rollout_buffer = source
    torch.manual_seed(0)
    np.random.seed(0)
    by_hand = gradients(models[0], healthy, inverted=True)
    np.random.seed(0)
    ours = gradients(models[1], healthy, inverted=False)  # the algorithm's own loss, seen through the seam
    assert torch.allclose(ours, by_hand, rtol=1e-6, atol=1e-9)
    assert not torch.allclose(ours, gradients(models[0], healthy, inverted=False), rtol=1e-2)


@pytest.mark.parametrize("algorithm", ["ppo", "a2c"])
def test_lost_state_updates_act_on_the_first_observation_for_ever(small_recipe, algorithm):
    model: Any = build(small_recipe(algorithm).replace(state=StateSite(1.0)), 0)
    model.learn(64)
    stored = model.rollout_buffer.observations.reshape(-1, 4)
    assert (stored == stored[0]).all()
    first = gymnasium.make("CartPole-v1").reset(seed=0)[0]
    assert np.allclose(stored[0], first)


def test_some_lost_state_updates_repeat_some_observations(small_recipe):
    model: Any = build(small_recipe("ppo").replace(state=StateSite(0.3)), 0)
    model.learn(64)
    stored = model.rollout_buffer.observations.reshape(-1, 4)
    repeated = (stored[1:] == stored[:-1]).all(axis=1).mean()
    assert 0.1 < repeated < 0.55


def test_time_limits_look_terminal_in_the_published_variant(small_recipe):
    recipe = small_recipe("ppo").replace(environment=EnvironmentSpec("Pendulum-v1"), algorithm="ppo")
    infos = []
    for site in (TerminalSite(), TerminalSite(time_limit_is_terminal=True)):
        model = build(recipe.replace(terminal=site), 0)
        env = model.get_env()
        env.reset()
        for _ in range(200):
            *_, done, info = env.step(np.zeros((1, 1), dtype=np.float32))
        infos.append((bool(done[0]), info[0].get("TimeLimit.truncated")))
    assert infos == [(True, True), (True, None)]


def test_the_true_reward_is_logged_and_the_published_variant_logs_the_shown_one(small_recipe):
    noisy = ExperienceSite(noise_probability=1.0)
    published = ExperienceSite(noise_probability=1.0, log_mutated_reward=True)
    true = train_one(small_recipe("ppo").replace(experience=noisy), 0, AgentSelection())
    shown = train_one(small_recipe("ppo").replace(experience=published), 0, AgentSelection())
    assert true.weights_digest == shown.weights_digest
    assert all(value == int(value) for value in true.episode_returns)
    assert any(value != int(value) for value in shown.episode_returns)


def test_best_checkpoint_is_the_best_evaluated_one(small_recipe):
    selection = AgentSelection("best", every=32, episodes=3)
    agent = train_one(small_recipe("ppo"), 0, selection)
    final = train_one(small_recipe("ppo"), 0, AgentSelection())
    environment = small_recipe("ppo").environment

    def score(checkpoint):
        return np.mean(evaluate(checkpoint, "ppo", environment, selection.episodes, selection.seed))

    assert score(agent.checkpoint) >= score(final.checkpoint)
    assert agent.episode_returns == final.episode_returns
    assert agent.weights_digest == weights_digest(from_bytes(agent.checkpoint, "ppo"))


def test_evaluation_is_deterministic_and_seeded_per_episode(small_recipe):
    agent = train_one(small_recipe("a2c"), 0, AgentSelection())
    environment = small_recipe("a2c").environment
    ten = evaluate(agent.checkpoint, "a2c", environment, 10, 420)
    assert ten == evaluate(agent.checkpoint, "a2c", environment, 10, 420)
    assert ten[3:5] == evaluate(agent.checkpoint, "a2c", environment, 2, 423)


def test_damaged_checkpoint_is_named():
    with pytest.raises(CorruptArtifactError, match=r"agent-7\.zip: cannot be read"):
        from_bytes(b"PK\x03\x04 broken", "ppo", "agent-7.zip")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"policy": PolicySite("Sigmoidd", "Adam")}, "did you mean 'Sigmoid'"),
        ({"policy": PolicySite("Tanh", "RMSProp")}, "did you mean 'RMSprop'"),
        ({"hyperparameters": (("n_steps", 1), ("batch_size", 1))}, "hyperparameters: ppo refuses them"),
    ],
)
def test_engine_declines_with_the_reason(small_recipe, change, text):
    reason = engine("sb3").objection(small_recipe("ppo").replace(**change))
    assert reason is not None and text in reason


def test_faults_off_policy_refuse_n_step_returns(small_recipe):
    recipe = small_recipe("dqn")
    recipe = recipe.replace(hyperparameters=tuple((dict(recipe.hyperparameters) | {"n_steps": 3}).items()))
    assert engine("sb3").objection(recipe) is None
    assert "n_steps" in (engine("sb3").objection(recipe.replace(terminal=TerminalSite(1.0))) or "")


def test_engine_accepts_healthy_recipes(small_recipe):
    assert all(engine("sb3").objection(small_recipe(algorithm)) is None for algorithm in ALGORITHMS)


def test_unknown_engine():
    with pytest.raises(InputError, match="sb3"):
        engine("sb4")


def test_a_users_algorithm_trains(small_recipe):
    from agents.deeprl.presets import preset

    overrides = {"learning_starts": 20, "batch_size": 8, "buffer_size": 100, "net_arch": [8]}
    recipe = preset("Pendulum-v1", "stable_baselines3:SAC").recipe(EnvironmentSpec("Pendulum-v1"), 60, overrides)
    agent = train_one(recipe, 0, AgentSelection())
    mutant = train_one(recipe.replace(loss=LossSite(1.0), terminal=TerminalSite(1.0)), 0, AgentSelection())
    assert agent.weights_digest != mutant.weights_digest
