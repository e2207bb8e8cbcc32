"""The table of compiled worlds. Any other environment is stepped on the host."""

from __future__ import annotations

from agents.deeprl.engines.fleet.worlds.acrobot import ACROBOT
from agents.deeprl.engines.fleet.worlds.base import World
from agents.deeprl.engines.fleet.worlds.cartpole import CARTPOLE
from agents.deeprl.engines.fleet.worlds.mountain_car import MOUNTAIN_CAR
from agents.deeprl.engines.fleet.worlds.pendulum import PENDULUM
from envsearch.spec import EnvironmentSpec

WORLDS: dict[str, World] = {
    CARTPOLE.name: CARTPOLE,
    ACROBOT.name: ACROBOT,
    MOUNTAIN_CAR.name: MOUNTAIN_CAR,
    PENDULUM.name: PENDULUM,
}


def world_of(environment: EnvironmentSpec) -> World | None:
    """The compiled world of an environment; None if there is none that reads all its parameters."""
    world = WORLDS.get(environment.name)
    if world is None:
        return None
    return world if {name for name, _ in environment.values} <= {name for name, _ in world.parameters} else None


def point_of(world: World, environment: EnvironmentSpec) -> tuple[float, ...]:
    """The values of the world's parameters, in order; those that the environment does not name have their default."""
    values = dict(environment.values)
    return tuple(float(values.get(name, default)) for name, default in world.parameters)


def address_parts(environment: EnvironmentSpec) -> tuple[str, ...]:
    """What the fleet's way to step an environment adds to an address; see `World.address`."""
    world = world_of(environment)
    return () if world is None else world.address
