"""LunarLander's step without its overhead: gymnasium's arithmetic in its order, so the same bits, in less time.

Half of the time of gymnasium's own step is not Box2D's: it asks the action space whether the action is one, draws two
numbers through a general method, and computes with NumPy's scalars. Formulas: gymnasium's LunarLander (MIT licence),
discrete actions, no wind, nothing drawn.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.box2d import lunar_lander as source
from gymnasium.envs.box2d.lunar_lander import LunarLander

COMPARED_WITH = ("1.4.0",)
"""Versions of gymnasium whose step this has been compared with; with any other one gymnasium's own is used."""

USED = gymnasium.__version__ in COMPARED_WITH

_SCALE = source.SCALE
_SECONDS, _VELOCITY_ROUNDS, _POSITION_ROUNDS = 1.0 / source.FPS, 6 * 30, 2 * 30
_HALF_WIDTH = source.VIEWPORT_W / _SCALE / 2
_HALF_HEIGHT = source.VIEWPORT_H / _SCALE / 2
_LEG_DOWN = source.LEG_DOWN / _SCALE
_MAIN_Y = source.MAIN_ENGINE_Y_LOCATION / _SCALE
_SIDE_DROP = 17
"""gymnasium's number for where the side engines push, in pixels; not its SIDE_ENGINE_HEIGHT."""


def quick_step(env: LunarLander, action: int, side_power: float) -> tuple[Any, float, bool, bool, dict[str, Any]]:
    """What gymnasium's step answers, for an action from 0 to 3."""
    lander: Any = env.lander
    angle = lander.angle
    sine, cosine = math.sin(angle), math.cos(angle)
    draw = env.np_random.random
    first, second = (2.0 * draw() - 1.0) / _SCALE, (2.0 * draw() - 1.0) / _SCALE
    fuel = 0.0
    if action == 2:
        fuel = 0.3
        lever = _MAIN_Y + 2 * first
        x, y = sine * lever + -cosine * second, -cosine * lever - sine * second
        _push(lander, x, y, source.MAIN_ENGINE_POWER, 0.0, 0.0)
    elif action:
        fuel = 0.03
        lever = 3 * second + (action - 2) * source.SIDE_ENGINE_AWAY / _SCALE
        x, y = sine * first + -cosine * lever, -cosine * first - sine * lever
        _push(lander, x, y, side_power, sine * _SIDE_DROP / _SCALE, cosine * source.SIDE_ENGINE_HEIGHT / _SCALE)
    env.world.Step(_SECONDS, _VELOCITY_ROUNDS, _POSITION_ROUNDS)
    return _answer(env, lander, fuel)


def _push(lander: Any, x: float, y: float, power: float, left: float, up: float) -> None:
    position = lander.position
    place = (position.x + x - left, position.y + y + up)
    lander.ApplyLinearImpulse((-x * power, -y * power), place, True)


def _answer(env: LunarLander, lander: Any, fuel: float) -> tuple[Any, float, bool, bool, dict[str, Any]]:
    position, velocity, legs = lander.position, lander.linearVelocity, env.legs
    x = (position.x - _HALF_WIDTH) / _HALF_WIDTH
    y = (position.y - (env.helipad_y + _LEG_DOWN)) / _HALF_HEIGHT
    x_speed, y_speed = velocity.x * _HALF_WIDTH / source.FPS, velocity.y * _HALF_HEIGHT / source.FPS
    angle, turn = lander.angle, 20.0 * lander.angularVelocity / source.FPS
    left, right = 1.0 if legs[0].ground_contact else 0.0, 1.0 if legs[1].ground_contact else 0.0
    shaping = (
        -100 * math.sqrt(x * x + y * y)
        - 100 * math.sqrt(x_speed * x_speed + y_speed * y_speed)
        - 100 * abs(angle)
        + 10 * left
        + 10 * right
    )
    reward = 0.0 if env.prev_shaping is None else shaping - env.prev_shaping
    env.prev_shaping = shaping
    reward -= fuel
    terminated = False
    if env.game_over or abs(x) >= 1.0:
        terminated, reward = True, -100.0
    if not lander.awake:
        terminated, reward = True, 100.0
    observation = np.array((x, y, x_speed, y_speed, angle, turn, left, right), dtype=np.float32)
    return observation, reward, terminated, False, {}
