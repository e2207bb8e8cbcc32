"""The compiled CartPole against gymnasium's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from agents.deeprl.engines.fleet import cartpole
from agents.deeprl.engines.fleet import world as worlds
from agents.deeprl.engines.fleet.sites import sites_of
from agents.deeprl.presets.preset import preset
from envsearch.errors import InputError
from envsearch.registry import make
from envsearch.spec import EnvironmentSpec

compiled_step = jax.jit(cartpole.step)


def spec(cart=1.0, pole=0.1):
    return EnvironmentSpec("CartPole-v1", (("cart_mass", cart), ("pole_mass", pole)))


@pytest.mark.parametrize(("cart", "pole"), [(1.0, 0.1), (7.2, 0.1), (1.0, 11.2), (4.3, 5.98)])
def test_steps_are_gymnasiums(cart, pole):
    env = make(spec(cart, pole))
    masses = cartpole.masses(spec(cart, pole))
    rng = np.random.default_rng(1)
    env.reset(seed=1)
    for _ in range(300):
        state = rng.uniform([-2.4, -3, -0.2, -3], [2.4, 3, 0.2, 3])
        action = int(rng.integers(2))
        env.unwrapped.state, env.unwrapped.steps_beyond_terminated = state.copy(), None
        env.unwrapped.step(action)
        following, fallen = compiled_step(jnp.asarray(state), jnp.int32(action), masses)
        assert np.allclose(following, env.unwrapped.state, rtol=0, atol=1e-14)
        assert bool(fallen) == (env.unwrapped.steps_beyond_terminated is not None)


def test_another_environment_is_refused():
    with pytest.raises(InputError, match="is not compiled"):
        cartpole.masses(EnvironmentSpec("LunarLander-v3"))


def test_first_states_lie_where_gymnasium_puts_them():
    states = np.asarray(cartpole.reset_states(jax.random.key(0), 1000))
    assert states.dtype == np.float64
    assert np.abs(states).max() <= 0.05
    assert np.abs(states.mean(axis=0)).max() < 0.005


def test_an_episode_ends_at_the_time_limit_or_when_the_pole_falls():
    recipe = preset("CartPole-v1", "ppo").recipe(spec())
    sites, masses = sites_of(recipe, 0.99), cartpole.masses(spec())
    world, _ = worlds.start(jax.random.key(3), 0)
    draw = jax.tree.map(lambda column: column[0], worlds.draws(jax.random.key(3), 0, 1))
    late = world._replace(elapsed=jnp.int32(499))
    after, seen = worlds.advance(late, jnp.int32(1), draw, sites, masses)
    assert bool(seen.done) and bool(seen.timed_out)
    assert float(seen.finished_return) == 1.0 and int(after.elapsed) == 0
    assert np.array_equal(after.state, draw.resets)
    fallen = late._replace(state=jnp.array([2.39, 3.0, 0.0, 0.0]))
    _, seen = worlds.advance(fallen, jnp.int32(1), draw, sites, masses)
    assert bool(seen.done) and not bool(seen.timed_out)
    hidden = sites._replace(time_limit_is_terminal=jnp.bool_(True))
    _, seen = worlds.advance(late, jnp.int32(1), draw, hidden, masses)
    assert bool(seen.done) and not bool(seen.timed_out)
