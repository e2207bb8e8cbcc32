"""LunarLander-v3 with another gravity and other side engines.

Initial values, limits and precisions are those of Tambon et al., "Mutation Testing of Deep Reinforcement Learning Based
on Real Faults", ICST 2023, which searched LunarLander-v2, the same game before gymnasium renumbered it.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.box2d import lunar_lander
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils import EzPickle

from envsearch.definition import EnvironmentDefinition, PhysicalLimit
from envsearch.environments.lunarlander_step import USED, quick_step
from envsearch.spec import Parameter

MAX_STEPS = 1000
REWARD_THRESHOLD = 200.0
_SIDE_POWER = "SIDE_ENGINE_POWER"


def _step_with_side_power(power: float) -> Callable[..., Any]:
    """gymnasium's own step, reading the side engines' power from a name space of its own.

    The power is a constant of gymnasium's module. Changing it there would change every lander of the process; this
    copy of the *function* (same code object, other globals) belongs to one instance and costs nothing per step.
    """
    original = lunar_lander.LunarLander.step
    if _SIDE_POWER not in original.__code__.co_names or not hasattr(lunar_lander, _SIDE_POWER):
        raise RuntimeError(f"this gymnasium's LunarLander has no {_SIDE_POWER}: side_engine_power would have no effect")
    names = {**vars(lunar_lander), _SIDE_POWER: power}
    return types.FunctionType(original.__code__, names, original.__name__, original.__defaults__, original.__closure__)


class LunarLander(lunar_lander.LunarLander):
    """gymnasium's LunarLander (discrete, no wind) with chosen gravity and side engine power.

    At the defaults it is LunarLander-v3 bit for bit.
    """

    def __init__(self, gravity: float = -10.0, side_engine_power: float = 0.6, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        EzPickle.__init__(self, gravity, side_engine_power, render_mode)
        # Not through the parent's constructor, which refuses 0 and everything below -12. Every reset builds
        # the world again from this attribute.
        self.gravity = gravity
        self._side_power = side_engine_power
        self._step = _step_with_side_power(side_engine_power)

    def step(self, action: Any) -> Any:
        """One step with this instance's side engines; gymnasium's own code where `quick_step` is not meant for it."""
        if USED and type(action) in (int, np.int64) and 0 <= action <= 3 and self.render_mode is None and self.lander:
            return quick_step(self, int(action), self._side_power)
        return self._step(self, action)


def build(values: Mapping[str, float]) -> gymnasium.Env[Any, Any]:
    """LunarLander at one point of (gravity, side_engine_power)."""
    return gymnasium.make(
        EnvSpec(
            id="LunarLander-v3",
            entry_point=f"{__name__}:LunarLander",
            max_episode_steps=MAX_STEPS,
            reward_threshold=REWARD_THRESHOLD,
            disable_env_checker=True,
            kwargs={"gravity": values["gravity"], "side_engine_power": values["side_engine_power"]},
        )
    )


LUNARLANDER = EnvironmentDefinition(
    name="LunarLander-v3",
    summary="land a craft between two flags; gravity and side engine power",
    parameters=(
        Parameter("gravity", initial=-10.0, low=-20.0, high=0.0, precision=0.5, unit="m/s²"),
        Parameter("side_engine_power", initial=0.6, low=0.0, high=5.0, precision=0.05),
    ),
    build=build,
    aliases=("LunarLander-v2",),
    source="gymnasium; parameters, limits and precision: Tambon et al., ICST 2023",
    reward_threshold=REWARD_THRESHOLD,
    max_episode_steps=MAX_STEPS,
    physical_limits=(PhysicalLimit("side_engine_power", 0.0, inclusive=True),),
)
