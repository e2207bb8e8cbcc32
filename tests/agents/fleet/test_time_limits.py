"""Ends of episodes in both on-policy learners, against advantages computed by hand.

A world of one number: an episode starts at 1, a step adds 1 and pays the number it left; every episode ends at 3. The
critic is the identity. Three steps leave 1, 2 and, in the next episode, 1; the observation after them is 2. With
gamma .5 and lambda .5, delta_t = r_t + .5 V_{t+1} nt - V_t and A_t = delta_t + .25 nt A_{t+1}.
"""

from __future__ import annotations

from typing import Any, cast

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from agents.deeprl.engines.fleet.on_policy_recipe import on_policy_sites
from agents.deeprl.engines.fleet.on_policy_update import FaultDraws, prepare
from agents.deeprl.engines.fleet.rollout import Rollout
from agents.deeprl.engines.sb3.build import build
from agents.deeprl.presets.preset import preset
from agents.deeprl.recipe import TerminalSite
from agents.library_randomness import library_randomness_kept
from envsearch.spec import EnvironmentSpec

LIMITED, TERMINATING = "ProctorCounting-v0", "ProctorCountingToThree-v0"
# V = (1, 2, 1) and after the last step 2. Time limit: r_1 = 2 + .5 V(3) = 3.5, nt = (1, 0, 1), delta = (1, 1.5, 1);
# termination: r_1 = 2, delta_1 = 0; lost flag: r_1 = 2, nt = 1 throughout, delta_1 = 2 + .5 V(1) - 2 = .5.
BOOTSTRAPPED = [1 + 0.25 * 1.5, 1.5, 1.0]
TERMINATED = [1.0, 0.0, 1.0]
LOST = [1 + 0.25 * (0.5 + 0.25 * 1), 0.5 + 0.25 * 1, 1.0]
CASES = [
    (LIMITED, TerminalSite(), BOOTSTRAPPED),
    (LIMITED, TerminalSite(missed=1.0), LOST),
    (LIMITED, TerminalSite(time_limit_is_terminal=True), TERMINATED),
    (TERMINATING, TerminalSite(), TERMINATED),
    (TERMINATING, TerminalSite(missed=1.0), LOST),
]


class Counting(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0.0, 10.0, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, last=10):
        self.last = last

    def reset(self, *, seed=None, options=None):
        self.number = 1
        return np.array([1.0], np.float32), {}

    def step(self, action):
        self.number += 1
        return np.array([self.number], np.float32), float(self.number - 1), self.number == self.last, False, {}


gymnasium.register(LIMITED, cast(Any, Counting), max_episode_steps=2)
gymnasium.register(TERMINATING, cast(Any, Counting), kwargs={"last": 3})


def recipe_of(environment, site, steps):
    overrides = {"n_steps": steps, "gamma": 0.5, "gae_lambda": 0.5, "net_arch": [1]}
    healthy = preset("CartPole-v1", "a2c").recipe(EnvironmentSpec(environment), steps, overrides)
    return healthy.replace(terminal=site)


def stored(environment, site, steps=3):
    """Advantages and returns in the buffer of Stable-Baselines3."""
    recipe = recipe_of(environment, site, steps)
    with library_randomness_kept():
        model: Any = build(recipe, 0)
        model.policy.predict_values = lambda seen: seen
        acting = model.policy.forward
        model.policy.forward = lambda seen: (acting(seen)[0], seen, torch.zeros(1))
        _, callback = model._setup_learn(steps)
        model.collect_rollouts(model.env, callback, model.rollout_buffer, steps)
    buffer = model.rollout_buffer
    return buffer.advantages[:, 0].tolist(), buffer.returns[:, 0].tolist()


def compiled(environment, site, steps=3, draws=None):
    """Advantages and returns of the fleet."""
    left = np.arange(steps) % 2 + 1
    ends = left == 2
    rollout = Rollout(
        observations=jnp.asarray(left, jnp.float32)[:, None],
        actions=jnp.zeros(steps, jnp.int32),
        rewards=jnp.asarray(left, jnp.float32),
        done=jnp.asarray(ends),
        timed_out=jnp.asarray(ends & (environment == LIMITED) & (not site.time_limit_is_terminal)),
        final_observations=jnp.asarray(left + 1, jnp.float32)[:, None],
        last_observation=jnp.asarray([steps % 2 + 1], jnp.float32),
    )
    identity = ((jnp.eye(1), jnp.zeros(1)),)
    parameters = {"actor": ((jnp.zeros((1, 2)), jnp.zeros(2)),), "critic": identity}
    flags = jnp.zeros(steps) if draws is None else jnp.asarray(draws, jnp.float32)
    faults = FaultDraws(flags, *[jnp.float32(0.0)] * 3)
    sites = on_policy_sites(recipe_of("CartPole-v1", site, steps))
    batch = jax.jit(prepare, static_argnames="activation")(parameters, rollout, faults, sites, activation="Tanh")
    return batch.advantages.tolist(), batch.returns.tolist()


@pytest.mark.parametrize("learner", [stored, compiled])
@pytest.mark.parametrize(("environment", "site", "expected"), CASES)
def test_advantages_by_hand(learner, environment, site, expected):
    advantages, returns = learner(environment, site)
    assert advantages == pytest.approx(expected, abs=1e-6)
    assert returns == pytest.approx([expected[0] + 1, expected[1] + 2, expected[2] + 1], abs=1e-6)


@pytest.mark.parametrize("learner", [stored, compiled])
def test_a_lost_flag_at_the_end_of_a_rollout(learner):
    # Two steps; after them the next episode stands at 1: A_1 = 2 + .5 * 1 - 2 and A_0 = 1 + .25 * .5
    assert learner(LIMITED, TerminalSite(missed=1.0), 2)[0] == pytest.approx([1.125, 0.5], abs=1e-6)


@pytest.mark.parametrize("environment", [LIMITED, TERMINATING])
def test_each_flag_is_lost_by_itself_in_the_fleet(environment):
    # Four steps (1, 2, 1, 2), then 1. Only the second end is noticed: V(3) counts there at a time limit, nothing at a
    # termination; A_2 = 1 + .25 A_3; the first is lost: A_1 = .5 + .25 A_2.
    third = 1.5 if environment == LIMITED else 0.0
    second = 1 + 0.25 * third
    first = 0.5 + 0.25 * second
    advantages, _ = compiled(environment, TerminalSite(missed=0.5), 4, [0.9, 0.1, 0.1, 0.5])
    assert advantages == pytest.approx([1 + 0.25 * first, first, second, third], abs=1e-6)


def test_flag_and_bootstrap_are_lost_together_in_the_library():
    advantages, _ = stored(LIMITED, TerminalSite(missed=0.5), 400)
    # A_t at an end is 1.5 if it is noticed; otherwise .5 + .25 A_{t+1}, where A_{t+1} follows from the next end.
    ends, starts = advantages[1::2], advantages[0::2]
    noticed = [end == pytest.approx(1.5, abs=1e-5) for end in ends]
    assert 70 < sum(noticed) < 130
    for place in range(len(ends) - 1):
        assert starts[place] == pytest.approx(1 + 0.25 * ends[place], abs=1e-5)
        assert noticed[place] or ends[place] == pytest.approx(0.5 + 0.25 * starts[place + 1], abs=1e-5)
