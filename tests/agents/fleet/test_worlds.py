"""The compiled worlds against gymnasium: bit for bit where agents are evaluated, to 1e-13 where they are trained."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils import seeding
from numpy.typing import NDArray

from agents.deeprl.engines.base import AgentSelection
from agents.deeprl.engines.fleet import stepping
from agents.deeprl.engines.fleet.capability import objection
from agents.deeprl.engines.fleet.engine import FleetEngine
from agents.deeprl.engines.fleet.evaluation import SavedAgent, evaluate_together
from agents.deeprl.engines.fleet.sites import sites_of
from agents.deeprl.engines.fleet.training import Training
from agents.deeprl.engines.fleet.worlds.base import FAST, Continuous, Discrete, World, exact
from agents.deeprl.engines.fleet.worlds.registry import WORLDS, address_parts, point_of, world_of
from agents.deeprl.evaluation import evaluate
from agents.deeprl.presets.preset import preset
from agents.deeprl.recipe import TrainingRecipe
from envsearch.registry import make
from envsearch.spec import EnvironmentSpec

EPISODES = 1000
PLACES = [
    *(EnvironmentSpec(name) for name in WORLDS),
    EnvironmentSpec("CartPole-v1", (("cart_mass", 7.2), ("pole_mass", 5.98))),
    EnvironmentSpec("Acrobot-v1", (("LINK_MASS_1", 1.37), ("LINK_COM_POS_2", 0.61), ("LINK_MOI", 0.83))),
    EnvironmentSpec("MountainCar-v0", (("gravity", 0.0031), ("force", 0.0017), ("goal_position", 0.31))),
    EnvironmentSpec("Pendulum-v1", (("g", 7.3), ("l", 1.23), ("m", 0.71))),
]
SMALL: dict[str, dict[str, Any]] = {
    "ppo": {"n_steps": 64, "batch_size": 32, "n_epochs": 2, "net_arch": [8, 8]},
    "a2c": {"net_arch": [8, 8]},
    "dqn": {"net_arch": [8, 8], "learning_starts": 32, "train_freq": 16, "gradient_steps": 8, "batch_size": 16},
}
DISCRETE = [name for name, world in WORLDS.items() if isinstance(world.actions, Discrete)]


def known_world(place: EnvironmentSpec) -> World:
    world = world_of(place)
    assert world is not None
    return world


def compiled_point(world: World, place: EnvironmentSpec) -> tuple[jax.Array, ...]:
    return tuple(jnp.float64(value) for value in point_of(world, place))


@partial(jax.jit, static_argnames=("world",))
def played(world: World, state: Any, actions: Any, point: Any, zero: Any) -> Any:
    """States, observations, rewards and ends of an episode that goes on after its end."""

    def step(state: Any, action: Any) -> Any:
        after, reward, terminated = world.step(state, action, point, exact(zero))
        observation = jnp.stack(world.observation(after)).astype(jnp.float32)
        return after, (jnp.stack(after), observation, reward * jnp.ones(()), terminated)

    return jax.lax.scan(step, state, actions)[1]


def random_actions(world: World, rng: np.random.Generator) -> NDArray[Any]:
    """Actions of one episode, each held for some steps, so that states far from the first are reached."""
    hold = int(rng.integers(1, 12))
    count = -(-world.time_limit // hold)
    if isinstance(world.actions, Continuous):
        low, high = np.array(world.actions.bounds, np.float32).T
        chosen = rng.uniform(1.2 * low, 1.2 * high, (count, len(low))).astype(np.float32)  # some beyond the bounds
    else:
        chosen = rng.integers(0, world.actions.choices, count).astype(np.int32)
    return np.repeat(chosen, hold, axis=0)[: world.time_limit]


def compiled_actions(world: World, actions: NDArray[Any]) -> Any:
    return tuple(actions.T) if isinstance(world.actions, Continuous) else actions


def library_episode(env: gymnasium.Env[Any, Any], actions: NDArray[Any]) -> tuple[list[Any], bool, bool]:
    """(state, observation, reward, terminated) of each step, and how the episode ended."""
    rows: list[Any] = []
    for action in actions:
        observation, reward, terminated, truncated, _ = env.step(action if action.ndim else int(action))
        rows.append((np.array(env.unwrapped.state), observation, reward, terminated))  # type: ignore[attr-defined]
        if terminated or truncated:
            return rows, terminated, truncated
    raise AssertionError("the time limit of the compiled world is shorter than gymnasium's")


@pytest.mark.parametrize("place", PLACES, ids=EnvironmentSpec.label)
def test_episodes_are_gymnasiums_bit_for_bit(place: EnvironmentSpec) -> None:
    world, env, rng = known_world(place), make(place), np.random.default_rng(1)
    ends: set[tuple[bool, bool]] = set()
    for seed in range(EPISODES if not place.values else 50):
        first, _ = env.reset(seed=seed)
        state, observation = world.library_reset(seeding.np_random(seed)[0])
        assert np.array_equal(first, observation) and observation.dtype == np.float32
        actions = random_actions(world, rng)
        steps, terminated, truncated = library_episode(env, actions)
        compiled = played(
            world,
            tuple(jnp.float64(value) for value in state),
            compiled_actions(world, actions),
            compiled_point(world, place),
            np.int64(0),
        )
        for ours, theirs in zip(compiled, zip(*steps, strict=True), strict=True):
            np.testing.assert_array_equal(np.asarray(ours)[: len(steps)], np.stack(theirs))
        assert truncated == (len(steps) == world.time_limit)
        ends.add((terminated, truncated))
    assert ends - {(False, True)} or isinstance(world.actions, Continuous) or place.values


@pytest.mark.parametrize("place", PLACES, ids=EnvironmentSpec.label)
def test_a_training_step_is_gymnasiums_to_the_last_bits(place: EnvironmentSpec) -> None:
    world, point = known_world(place), compiled_point(known_world(place), place)
    fast = jax.jit(lambda state, action: world.step(state, action, point, FAST))
    same = jax.jit(lambda state, action, zero: world.step(state, action, point, exact(zero)))
    rng = np.random.default_rng(2)
    state: Any = tuple(jnp.float64(value) for value in world.library_reset(rng)[0])
    for action in random_actions(world, rng):
        chosen = compiled_actions(world, action)
        ours, theirs = fast(state, chosen), same(state, chosen, np.int64(0))
        np.testing.assert_allclose(ours.state, theirs.state, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(ours.reward, theirs.reward, rtol=1e-12)
        state = theirs.state


@pytest.mark.parametrize("name", WORLDS)
def test_spaces_time_limit_and_defaults_are_gymnasiums(name: str) -> None:
    world, env = WORLDS[name], make(EnvironmentSpec(name))
    assert env.observation_space.shape == (world.observations,)
    assert env.spec is not None and env.spec.max_episode_steps == world.time_limit
    if isinstance(world.actions, Discrete):
        assert isinstance(env.action_space, spaces.Discrete)
        assert (env.action_space.n, env.action_space.start) == (world.actions.choices, 0)
    else:
        assert isinstance(env.action_space, spaces.Box)
        assert np.array_equal(np.array(world.actions.bounds).T, (env.action_space.low, env.action_space.high))
    assert point_of(world, EnvironmentSpec(name)) == tuple(default for _, default in world.parameters)
    if name != "CartPole-v1":  # its parameters are names of envsearch
        assert all(getattr(env.unwrapped, parameter) == default for parameter, default in world.parameters)


@pytest.mark.parametrize("name", WORLDS)
def test_first_states_lie_where_gymnasium_puts_them(name: str) -> None:
    world, rng = WORLDS[name], np.random.default_rng(0)
    ours = np.asarray(world.reset_states(jax.random.key(0), 20_000))
    theirs = np.stack([world.library_reset(rng)[0] for _ in range(20_000)])
    assert ours.dtype == np.float64 and ours.shape == theirs.shape
    spread = np.maximum(theirs.std(axis=0), 1e-9)
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 0.05 * spread).all()
    for extreme in (np.min, np.max):
        assert (np.abs(extreme(ours, axis=0) - extreme(theirs, axis=0)) < 0.01 * spread + 1e-9).all()


def small_recipe_in(place: EnvironmentSpec, algorithm: str, steps: int = 256) -> TrainingRecipe:
    return preset("CartPole-v1", algorithm).recipe(place, steps, SMALL[algorithm])


@pytest.mark.parametrize("algorithm", SMALL)
@pytest.mark.parametrize("name", DISCRETE)
def test_agents_trained_in_it_do_the_same_in_gymnasium(name: str, algorithm: str) -> None:
    place = EnvironmentSpec(name)
    recipe = small_recipe_in(place, algorithm)
    assert objection(recipe) is None
    agents = FleetEngine().train(recipe, [1, 2])
    assert agents[0].weights_digest != agents[1].weights_digest
    points = [place, next(other for other in PLACES if other.name == name and other.values)]
    pairs = [(SavedAgent(each.checkpoint, algorithm, recipe.policy), point) for each in agents for point in points]
    expected = [evaluate(agent.checkpoint, algorithm, point, 3, 9) for agent, point in pairs]
    assert evaluate_together(pairs, 3, 9) == expected


@pytest.mark.parametrize("algorithm", SMALL)
def test_continuous_actions_are_refused_in_a_line(algorithm: str) -> None:
    reason = objection(small_recipe_in(EnvironmentSpec("Pendulum-v1"), algorithm))
    assert reason == (
        "the fleet engine has no algorithm for continuous actions; "
        "those of Pendulum-v1 are Box(-2.0, 2.0, (1,), float32)"
    )


def test_a_parameter_that_the_physics_does_not_read_needs_the_host() -> None:
    noisy = EnvironmentSpec("Acrobot-v1", (("torque_noise_max", 0.5),))
    assert world_of(noisy) is None and world_of(EnvironmentSpec("LunarLander-v3")) is None
    assert not Training(small_recipe_in(noisy, "ppo"), (1,), AgentSelection()).resumable
    recipe = small_recipe_in(EnvironmentSpec("Acrobot-v1"), "ppo")
    (agent,) = FleetEngine().train(recipe, [3])
    saved = SavedAgent(agent.checkpoint, "ppo", recipe.policy)
    points = [noisy, EnvironmentSpec("Acrobot-v1")]
    expected = [evaluate(agent.checkpoint, "ppo", point, 2, 4) for point in points]
    assert evaluate_together([(saved, point) for point in points], 2, 4) == expected


def test_only_worlds_that_were_once_hosted_change_an_address() -> None:
    assert address_parts(EnvironmentSpec("CartPole-v1")) == address_parts(EnvironmentSpec("LunarLander-v3")) == ()
    assert {address_parts(EnvironmentSpec(name)) for name in WORLDS if name != "CartPole-v1"} == {("compiled",)}
    assert address_parts(EnvironmentSpec("Acrobot-v1", (("torque_noise_max", 0.5),))) == ()


def test_an_episode_ends_at_the_time_limit_or_when_the_pole_falls() -> None:
    world, place = WORLDS["CartPole-v1"], EnvironmentSpec("CartPole-v1")
    sites, point = sites_of(preset("CartPole-v1", "ppo").recipe(place), 0.99), compiled_point(world, place)
    episode, _ = stepping.start(world, jax.random.key(3), 0)
    draw = jax.tree.map(lambda column: column[0], stepping.draws(world, jax.random.key(3), 0, 1))
    late = episode._replace(elapsed=jnp.int32(499))
    after, result = stepping.advance(world, point, late, jnp.int32(1), draw, sites)
    assert bool(result.done) and bool(result.timed_out)
    assert float(result.finished_return) == 1.0 and int(after.elapsed) == 0
    assert np.array_equal(after.state, draw.resets)
    fallen = late._replace(state=jnp.array([2.39, 3.0, 0.0, 0.0]))
    _, result = stepping.advance(world, point, fallen, jnp.int32(1), draw, sites)
    assert bool(result.done) and not bool(result.timed_out)
    hidden = sites._replace(time_limit_is_terminal=jnp.bool_(True))
    _, result = stepping.advance(world, point, late, jnp.int32(1), draw, hidden)
    assert bool(result.done) and not bool(result.timed_out)
