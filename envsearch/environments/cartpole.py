"""CartPole-v1 with a heavier cart and a heavier pole.

Initial values, limits and precisions are those of Tambon et al., "Mutation Testing of Deep Reinforcement Learning Based
on Real Faults", ICST 2023, which searches the boundary of CartPole in cart mass and pole mass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.envs.registration import EnvSpec

from envsearch.definition import EnvironmentDefinition, PhysicalLimit
from envsearch.spec import Parameter

MAX_STEPS = 500
REWARD_THRESHOLD = 475.0


class CartPole(CartPoleEnv):
    """gymnasium's CartPole with chosen masses; at the defaults it is CartPole-v1 bit for bit."""

    def __init__(self, cart_mass: float = 1.0, pole_mass: float = 0.1, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        self.masscart = cart_mass
        self.masspole = pole_mass
        # The step reads these two as well, and the parent derived them from its own masses.
        self.total_mass = self.masspole + self.masscart
        self.polemass_length = self.masspole * self.length


def build(values: Mapping[str, float]) -> gymnasium.Env[Any, Any]:
    """CartPole at one point of (cart_mass, pole_mass), both in kg."""
    return gymnasium.make(
        EnvSpec(
            id="CartPole-v1",
            entry_point=f"{__name__}:CartPole",
            max_episode_steps=MAX_STEPS,
            reward_threshold=REWARD_THRESHOLD,
            disable_env_checker=True,
            kwargs={"cart_mass": values["cart_mass"], "pole_mass": values["pole_mass"]},
        )
    )


CARTPOLE = EnvironmentDefinition(
    name="CartPole-v1",
    summary="balance a pole on a cart; cart mass and pole mass",
    parameters=(
        Parameter("cart_mass", initial=1.0, low=1.0, high=20.0, precision=0.5, unit="kg"),
        Parameter("pole_mass", initial=0.1, low=0.1, high=20.0, precision=0.05, unit="kg"),
    ),
    build=build,
    source="gymnasium; parameters, limits and precision: Tambon et al., ICST 2023",
    reward_threshold=REWARD_THRESHOLD,
    max_episode_steps=MAX_STEPS,
    physical_limits=(
        PhysicalLimit("cart_mass", 0.0, inclusive=False),
        PhysicalLimit("pole_mass", 0.0, inclusive=False),
    ),
)
