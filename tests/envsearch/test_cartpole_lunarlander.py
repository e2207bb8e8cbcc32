"""CartPole and LunarLander with parameters, beside gymnasium's own."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.box2d import lunar_lander
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from numpy.typing import NDArray

from envsearch.environments.lunarlander import LunarLander
from envsearch.registry import ENVIRONMENTS, make
from envsearch.spec import EnvironmentSpec

Env = gymnasium.Env[Any, Any]
Trace = list[tuple[NDArray[np.float32], float, bool, bool]]


def trace(env: Env, seed: int = 3, steps: int = 400) -> Trace:
    """What random actions bring, over several episodes."""
    env.action_space.seed(seed)
    shown: Trace = [(env.reset(seed=seed)[0], 0.0, False, False)]
    for _ in range(steps):
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        shown.append((observation, float(reward), terminated, truncated))
        if terminated or truncated:
            shown.append((env.reset()[0], 0.0, False, False))
    return shown


def same(first: Trace, second: Trace) -> bool:
    return len(first) == len(second) and all(
        np.array_equal(a[0], b[0]) and a[1:] == b[1:] for a, b in zip(first, second, strict=True)
    )


def at(name: str, **values: float) -> Env:
    return make(EnvironmentSpec(name, tuple(values.items())))


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_at_the_initial_values_it_is_gymnasiums_own_bit_for_bit(name: str, seed: int) -> None:
    assert same(trace(make(EnvironmentSpec(name)), seed), trace(gymnasium.make(name), seed))


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_time_limit_truncates(name: str) -> None:
    limited = make(EnvironmentSpec(name))
    assert isinstance(limited, gymnasium.wrappers.TimeLimit)
    env: Any = limited
    env.reset(seed=0)
    env._elapsed_steps = (ENVIRONMENTS[name].max_episode_steps or 0) - 1
    assert env.step(0)[3] is True


# --- CartPole -------------------------------------------------------------------------------------------------------


def test_masses_move_the_derived_quantities_too() -> None:
    bare = at("CartPole-v1", cart_mass=3.0, pole_mass=0.7).unwrapped
    assert isinstance(bare, CartPoleEnv)
    assert (bare.masscart, bare.masspole) == (3.0, 0.7)
    assert bare.total_mass == 0.7 + 3.0
    assert bare.polemass_length == 0.7 * 0.5


def test_one_step_follows_the_equations_of_motion() -> None:
    """Barto, Sutton and Anderson (1983) as gymnasium writes them, for a cart of 4 kg and a pole of 2 kg."""
    env = at("CartPole-v1", cart_mass=4.0, pole_mass=2.0)
    x, v, theta, omega = env.reset(seed=1)[0].astype(np.float64)
    push = (10.0 + 2.0 * 0.5 * omega**2 * np.sin(theta)) / 6.0
    angular = (9.8 * np.sin(theta) - np.cos(theta) * push) / (0.5 * (4 / 3 - 2.0 * np.cos(theta) ** 2 / 6.0))
    linear = push - 2.0 * 0.5 * angular * np.cos(theta) / 6.0
    expected = [x + 0.02 * v, v + 0.02 * linear, theta + 0.02 * omega, omega + 0.02 * angular]
    np.testing.assert_allclose(env.step(1)[0], expected, rtol=1e-5)


# --- LunarLander ----------------------------------------------------------------------------------------------------


def lander(**values: float) -> Any:
    bare = at("LunarLander-v3", **values).unwrapped
    assert isinstance(bare, LunarLander)
    bare.reset(seed=5)
    return bare


@pytest.mark.parametrize("gravity", [0.0, -0.5, -12.0, -20.0])
def test_gravity_beyond_gymnasiums_own_range_is_in_force(gravity: float) -> None:
    bare, weightless = lander(gravity=gravity), lander(gravity=0.0)
    assert tuple(bare.world.gravity) == (0.0, gravity)
    before, lifted = bare.lander.linearVelocity.y, weightless.lander.linearVelocity.y
    bare.step(0)
    weightless.step(0)  # the springs of the legs lift a little, with or without gravity
    lifted = weightless.lander.linearVelocity.y - lifted
    assert bare.lander.linearVelocity.y - before - lifted == pytest.approx(gravity / 50, abs=1e-5)
    bare.reset()
    assert tuple(bare.world.gravity) == (0.0, gravity)


def test_an_episode_without_gravity_ends() -> None:
    assert any(terminated or truncated for _, _, terminated, truncated in trace(at("LunarLander-v3", gravity=0.0)))


def sideways_kick(power: float) -> float:
    """Change of horizontal velocity by one burst of a side engine, against the same step without it."""
    idle, fired = lander(side_engine_power=power), lander(side_engine_power=power)
    idle.step(0)
    fired.step(1)
    return float(fired.lander.linearVelocity.x - idle.lander.linearVelocity.x)


def test_the_side_engines_impulse_is_proportional_to_their_power() -> None:
    assert sideways_kick(0.0) == 0.0
    assert abs(sideways_kick(0.6)) > 1e-4
    assert sideways_kick(5.0) / sideways_kick(0.6) == pytest.approx(5.0 / 0.6, rel=0.05)


def test_interleaved_landers_keep_their_own_engines() -> None:
    points = [{}, {"side_engine_power": 5.0}, {"side_engine_power": 0.0, "gravity": 0.0}]
    alone = [trace(at("LunarLander-v3", **point)) for point in points]
    assert not same(alone[0], alone[1])

    landers = [at("LunarLander-v3", **point) for point in points]
    stock = gymnasium.make("LunarLander-v3")
    together = interleaved([*landers, stock])
    assert all(same(single, shared) for single, shared in zip([*alone, alone[0]], together, strict=True))
    assert lunar_lander.SIDE_ENGINE_POWER == 0.6


def interleaved(envs: list[Env], seed: int = 3, steps: int = 400) -> list[Trace]:
    """`trace` of several environments, stepped in turn."""
    shown: list[Trace] = []
    for env in envs:
        env.action_space.seed(seed)
        shown.append([(env.reset(seed=seed)[0], 0.0, False, False)])
    for _ in range(steps):
        for env, record in zip(envs, shown, strict=True):
            observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            record.append((observation, float(reward), terminated, truncated))
            if terminated or truncated:
                record.append((env.reset()[0], 0.0, False, False))
    return shown


def test_a_change_of_gymnasiums_constant_after_construction_does_not_reach_an_instance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    env = at("LunarLander-v3", side_engine_power=2.0)
    expected = trace(env)
    monkeypatch.setattr(lunar_lander, "SIDE_ENGINE_POWER", 9.0)
    assert same(trace(env), expected)


def test_a_gymnasium_without_the_constant_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(lunar_lander, "SIDE_ENGINE_POWER")
    with pytest.raises(RuntimeError, match="SIDE_ENGINE_POWER"):
        LunarLander()


copies: list[Callable[[Env], Env]] = [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))]


@pytest.mark.parametrize("copied", copies, ids=["deepcopy", "pickle"])
@pytest.mark.parametrize(
    ("name", "values"),
    [("CartPole-v1", {"cart_mass": 5.0}), ("LunarLander-v3", {"gravity": -3.0, "side_engine_power": 2.0})],
)
def test_copies_keep_the_parameters(name: str, values: dict[str, float], copied: Callable[[Env], Env]) -> None:
    env = at(name, **values)
    assert same(trace(copied(env)), trace(env))


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_gymnasium_remakes_it_from_its_own_spec_with_the_parameters(name: str) -> None:
    definition = ENVIRONMENTS[name]
    env = definition.build({parameter.name: parameter.high for parameter in definition.parameters})
    assert env.spec is not None
    assert same(trace(gymnasium.make(env.spec)), trace(env))
