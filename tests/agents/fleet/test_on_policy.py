"""PPO and A2C of the fleet against Stable-Baselines3: the same rollouts and first weights, the same updates."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback

from agents.deeprl.engines.fleet.advantages import advantages_and_returns, with_time_limit_bootstrap
from agents.deeprl.engines.fleet.networks import from_state_dict
from agents.deeprl.engines.fleet.on_policy_recipe import numbers_of, on_policy_sites, settings_of
from agents.deeprl.engines.fleet.on_policy_update import FaultDraws, first_learner, learn, prepare
from agents.deeprl.engines.fleet.rollout import Rollout
from agents.deeprl.engines.fleet.sites import stream
from agents.deeprl.engines.sb3.build import build
from agents.deeprl.presets.preset import preset
from agents.library_randomness import library_randomness_kept
from envsearch.spec import EnvironmentSpec
from mutations.folding import mutate
from mutations.parsing import parse_mutant

KEY = jax.random.key(7)
compiled_learn = jax.jit(learn, static_argnames=("settings",))
compiled_prepare = jax.jit(prepare, static_argnames=("activation",))
compiled_returns = jax.jit(advantages_and_returns)
TOTAL = 10_000
OVERRIDES: dict[str, dict[str, Any]] = {
    "ppo": {"n_steps": 200, "batch_size": 64, "n_epochs": 3, "ent_coef": 0.01},
    "a2c": {"n_steps": 100, "ent_coef": 0.01},
}
MUTANTS = ["healthy", "NDF", "NR", "ILF", "MTS", "MSU", "RN_1.0", "Ra_1.0", "R_1.0", "M_1.0", "PAC_ReLU", "POC_SGD"]
PUBLISHED = ["MTS[published]", "NR[published]", "NDF[published]", "POC_RMSprop", "NR-ILF"]


def recipe_of(algorithm, mutant="healthy", **overrides):
    healthy = preset("CartPole-v1", algorithm).recipe(
        EnvironmentSpec("CartPole-v1", (("cart_mass", 1.0), ("pole_mass", 0.1))),
        TOTAL,
        OVERRIDES[algorithm] | overrides,
    )
    return healthy if mutant == "healthy" else mutate(healthy, parse_mutant(mutant))


class Watch(BaseCallback):
    """Keeps what the library's buffer does not: rewards without bootstrap, ends, last observations."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def _on_step(self):
        info = self.locals["infos"][0]
        self.last = np.array(self.locals["new_obs"][0])
        final = np.array(info.get("terminal_observation", self.last))
        done = "terminal_observation" in info  # a lost flag is not in `dones`
        timed_out = bool(info.get("TimeLimit.truncated", False))
        self.rows.append((float(self.locals["rewards"][0]), done, timed_out, final))
        return True


class Library:
    """A Stable-Baselines3 model that collects rollouts and learns from them, one at a time."""

    def __init__(self, recipe, seed=3):
        with library_randomness_kept():
            self.model: Any = build(recipe, seed)
            limited = self.model.env.envs[0]
            while not hasattr(limited, "_max_episode_steps"):
                limited = limited.env
            limited._max_episode_steps = 15  # so that both kinds of ends are met
            _, self.callback = self.model._setup_learn(TOTAL, Watch())

    def parameters(self):
        return from_state_dict(self.model.policy.state_dict(), ("actor", "critic"), 2)

    def collect(self):
        self.watch = next(c for c in [self.callback, *getattr(self.callback, "callbacks", [])] if isinstance(c, Watch))
        self.watch.rows = []
        with library_randomness_kept():
            torch.manual_seed(5)
            self.model.collect_rollouts(self.model.env, self.callback, self.model.rollout_buffer, self.model.n_steps)
        buffer = self.model.rollout_buffer
        rewards, done, timed_out, final = zip(*self.watch.rows, strict=True)
        return Rollout(
            jnp.asarray(buffer.observations[:, 0]),
            jnp.asarray(buffer.actions[:, 0, 0].astype(np.int32)),
            jnp.asarray(np.array(rewards, np.float32)),
            jnp.asarray(np.array(done)),
            jnp.asarray(np.array(timed_out)),
            jnp.asarray(np.array(final, np.float32)),
            jnp.asarray(self.watch.last),
        )

    def learn(self, orders, monkeypatch):
        self.model._update_current_progress_remaining(self.model.num_timesteps, TOTAL)
        remaining = iter(orders)
        monkeypatch.setattr(np.random, "permutation", lambda count: next(remaining))
        self.model.train()
        monkeypatch.undo()


def strikes(steps):
    """Draws with which every fault of probability above 0 strikes."""
    zero = jnp.float32(0)
    return FaultDraws(jnp.zeros(steps, jnp.float32), zero, zero, zero)


def orders(settings, iteration):
    if settings.algorithm == "a2c":
        return [np.arange(settings.n_steps)]
    keys = jax.random.split(stream(KEY, "batches", iteration), settings.n_epochs)
    return [np.asarray(jax.random.permutation(key, settings.n_steps)) for key in keys]


def distance(ours, theirs):
    """Relative difference of two trees of arrays, in the Euclidean norm, network by network."""
    return max(
        float(np.linalg.norm(flat(ours[name]) - flat(theirs[name])) / np.linalg.norm(flat(theirs[name])))
        for name in theirs
    )


def flat(tree):
    return np.concatenate([np.asarray(leaf, np.float64).reshape(-1) for leaf in jax.tree.leaves(tree)])


CASES = [(algorithm, mutant) for algorithm in OVERRIDES for mutant in [*MUTANTS, *PUBLISHED]]


@pytest.mark.parametrize(("algorithm", "mutant"), CASES)
def test_weights_after_several_updates_are_the_librarys(algorithm, mutant, monkeypatch):
    check_weights(recipe_of(algorithm, mutant), monkeypatch)


def check_weights(recipe, monkeypatch):
    library, settings = Library(recipe), settings_of(recipe)
    learner = first_learner(jax.tree.map(jnp.asarray, library.parameters()), settings)
    for iteration in range(3):
        rollout = library.collect()
        library.learn(orders(settings, iteration), monkeypatch)
        learner = compiled_learn(
            learner,
            rollout,
            strikes(settings.n_steps),
            KEY,
            jnp.int32(iteration),
            on_policy_sites(recipe),
            numbers_of(recipe),
            settings=settings,
        )
    assert distance(learner.parameters, library.parameters()) < 1e-5


@pytest.mark.parametrize(("algorithm", "mutant"), CASES)
def test_what_the_update_reads_is_what_the_library_stored(algorithm, mutant):
    recipe = recipe_of(algorithm, mutant)
    library, settings = Library(recipe), settings_of(recipe)
    rollout = library.collect()
    if not recipe.terminal.time_limit_is_terminal:
        assert bool(rollout.timed_out.any())
    assert bool((rollout.done & ~rollout.timed_out).any())
    batch = compiled_prepare(
        jax.tree.map(jnp.asarray, library.parameters()),
        rollout,
        strikes(settings.n_steps),
        on_policy_sites(recipe),
        activation=recipe.policy.activation,
    )
    buffer = library.model.rollout_buffer
    for ours, theirs in (
        (batch.old_values, buffer.values),
        (batch.old_log_probs, buffer.log_probs),
        (batch.advantages, buffer.advantages),
        (batch.returns, buffer.returns),
    ):
        assert np.linalg.norm(ours - theirs.reshape(-1)) <= 1e-5 * np.linalg.norm(theirs)


@pytest.mark.parametrize(("algorithm", "mutant"), CASES)
def test_advantages_and_returns_are_the_librarys_to_the_last_bit(algorithm, mutant):
    """From the values that the library stored; they themselves differ by the order of a sum."""
    recipe = recipe_of(algorithm, mutant)
    library = Library(recipe)
    rollout = library.collect()
    buffer, sites = library.model.rollout_buffer, on_policy_sites(recipe)
    with torch.no_grad():
        last = library.model.policy.predict_values(torch.from_numpy(np.asarray(rollout.last_observation))[None])
    lost = recipe.terminal.missed > 0
    ends = np.append(buffer.episode_starts[1:, 0], 0.0 if lost else float(rollout.done[-1])).astype(np.float32)
    advantages, returns = compiled_returns(
        jnp.asarray(buffer.rewards[:, 0]),
        jnp.asarray(buffer.values[:, 0]),
        jnp.float32(last.item()),
        jnp.asarray(1.0 - ends),
        jnp.float64(1.0) if recipe.returns.undiscounted else sites.gamma,
        sites.gae_lambda,
        jnp.bool_(recipe.returns.forward > 0),
    )
    assert np.array_equal(advantages, buffer.advantages[:, 0])
    assert np.array_equal(returns, buffer.returns[:, 0])


@pytest.mark.parametrize("algorithm", OVERRIDES)
def test_the_time_limit_bootstrap_is_the_librarys_to_the_last_bit(algorithm):
    recipe = recipe_of(algorithm)
    library = Library(recipe)
    rollout = library.collect()
    with torch.no_grad():
        final = [
            library.model.policy.predict_values(torch.from_numpy(np.asarray(o))[None])
            for o in rollout.final_observations
        ]
    rewards = with_time_limit_bootstrap(
        rollout.rewards,
        rollout.timed_out,
        jnp.asarray(torch.cat(final)[:, 0].numpy()),
        on_policy_sites(recipe).own_gamma,
    )
    assert np.array_equal(rewards, library.model.rollout_buffer.rewards[:, 0])


@pytest.mark.parametrize(("algorithm", "mutant"), CASES)
def test_gradients_are_the_librarys(algorithm, mutant, monkeypatch):
    """One minibatch; with plain gradient descent, what a step adds to the weights is the clipped gradient."""
    recipe = recipe_of(algorithm, mutant, n_steps=64)
    rate = recipe.hyperparameter("learning_rate")
    recipe = recipe.replace(policy=dataclasses.replace(recipe.policy, optimizer="SGD", optimizer_kwargs=()))
    if algorithm == "ppo":
        recipe = recipe.replace(hyperparameters=tuple((dict(recipe.hyperparameters) | {"n_epochs": 1}).items()))
    library, settings = Library(recipe), settings_of(recipe)
    before = library.parameters()
    rollout = library.collect()
    library.learn(orders(settings, 0), monkeypatch)
    arguments = (on_policy_sites(recipe), numbers_of(recipe))
    start = first_learner(jax.tree.map(jnp.asarray, before), settings)
    after = compiled_learn(start, rollout, strikes(64), KEY, jnp.int32(0), *arguments, settings=settings).parameters
    ours = (flat(after) - flat(before)) / rate
    theirs = (flat(library.parameters()) - flat(before)) / rate
    assert np.linalg.norm(ours - theirs) <= 1e-3 * np.linalg.norm(theirs)  # the weights are stored in float32


@pytest.mark.parametrize("algorithm", OVERRIDES)
def test_value_clipping_and_falling_rates_are_the_librarys(algorithm, monkeypatch):
    overrides: dict[str, Any] = {"learning_rate": "lin_0.001"}
    if algorithm == "ppo":
        overrides |= {"clip_range": "lin_0.2", "clip_range_vf": 0.1}
    check_weights(recipe_of(algorithm, **overrides), monkeypatch)
