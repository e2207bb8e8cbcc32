"""Fleet evaluation: agents x environments x episodes in one batch, with deterministic policies.

The episodes are those of `agents.deeprl.evaluation.evaluate` (same seeds, same resets, same physics), and a result
does not depend on what else is in the batch. What differs is the order in which a matrix product adds: where two
actions are equally good to the last bit of float32, the two evaluations may choose differently.

What cannot be evaluated this way is evaluated by the reference; `objection` says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gymnasium import spaces

from agents.deeprl.engines.fleet.evaluation_compiled import CompiledTask, advance_together, evaluate_compiled
from agents.deeprl.engines.fleet.evaluation_hosted import evaluate_hosted
from agents.deeprl.engines.fleet.evaluation_policies import Policy, read_policy
from agents.deeprl.engines.fleet.worlds.base import World
from agents.deeprl.engines.fleet.worlds.registry import point_of, world_of
from agents.deeprl.evaluation import evaluate
from agents.deeprl.recipe import PolicySite
from agents.deeprl.stopwatch import Stopwatch
from envsearch.errors import InputError
from envsearch.registry import make
from envsearch.spec import EnvironmentSpec

Outcome = tuple[float, ...] | Exception
"""Returns of the episodes, or the exception of this evaluation."""


@dataclass(frozen=True, slots=True)
class SavedAgent:
    """A saved agent.

    Attributes:
        checkpoint: a Stable-Baselines3 zip file, as bytes.
        algorithm: table name or import path.
        policy: network and activation, from the agent's recipe.
    """

    checkpoint: bytes
    algorithm: str
    policy: PolicySite


Pair = tuple[SavedAgent, EnvironmentSpec]


def evaluate_together(pairs: Sequence[Pair], episodes: int = 10, seed: int = 420) -> list[Outcome]:
    """Evaluate each pair of agent and environment; episode e is reset with seed + e.

    Returns:
        For each pair the returns of its episodes, or the exception that this pair alone met: CorruptArtifactError
        for a checkpoint that cannot be read, InputError for an environment that does not fit the agent, or whatever
        the environment raised.

    Raises:
        InputError: no episodes.
    """
    if episodes < 1:
        raise InputError(f"{episodes} is out of range", "evaluation.episodes", "at least one episode")
    agents = {agent: read(agent) for agent in dict.fromkeys(agent for agent, _ in pairs)}
    outcomes: dict[int, Outcome] = {}
    groups: dict[tuple[object, ...], list[int]] = {}
    for position, (agent, place) in enumerate(pairs):
        policy = agents[agent]
        if isinstance(policy, str) or objection(policy, place) is not None:
            outcomes[position] = _by_reference(agent, place, episodes, seed)
        else:
            groups.setdefault((policy.shape, place.name, world_of(place)), []).append(position)
    policies = {agent: policy for agent, policy in agents.items() if isinstance(policy, Policy)}
    for positions in groups.values():
        together = _together([pairs[position] for position in positions], policies, episodes, seed)
        outcomes.update(zip(positions, together, strict=True))
    return [outcomes[position] for position in range(len(pairs))]


def evaluate_policies(
    policies: Sequence[Policy], place: EnvironmentSpec, episodes: int, seed: int
) -> list[tuple[float, ...]]:
    """Returns of policies of one shape in one environment, in order; episode e is reset with seed + e.

    Raises:
        Exception: whatever the environment raised.
    """
    world, rows = world_of(place), range(len(policies))
    if world is not None:
        point = point_of(world, place)
        return evaluate_compiled(world, policies, [(row, point) for row in rows], episodes, seed)
    returns = []
    for outcome in evaluate_hosted(policies, [(row, place) for row in rows], episodes, seed):
        if isinstance(outcome, Exception):
            raise outcome
        returns.append(outcome)
    return returns


def compiled_step_seconds(pairs: Sequence[Pair], episodes: int) -> float | None:
    """CPU seconds of one step of an evaluation of all pairs together; None where the environment is hosted.

    Args:
        pairs: agents of one shape that can be read, in environments of one world.
        episodes: of each pair.
    """
    world = world_of(pairs[0][1])
    if world is None:
        return None
    policies = {agent: policy for agent, _ in pairs if isinstance(policy := read(agent), Policy)}
    chosen, tasks = _compiled_tasks(world, pairs, policies)
    advance_together(world, chosen, tasks, episodes, 0)  # compiled now
    stopwatch = Stopwatch()
    steps = advance_together(world, chosen, tasks, episodes, 0)[1]
    return stopwatch.cpu / steps


@lru_cache(maxsize=64)
def read(agent: SavedAgent) -> Policy | str:
    """The agent's policy, or why only the library can load it; what is damaged gets its error there."""
    try:
        return read_policy(agent.checkpoint, agent.algorithm, agent.policy)
    except Exception as error:  # noqa: BLE001 - zipfile, pickle and torch each raise their own kinds
        return f"its weights cannot be read ({type(error).__name__})"


def objection(policy: Policy, place: EnvironmentSpec) -> str | None:
    """Why the fleet cannot evaluate a policy in an environment, or None if it can."""
    try:
        observations, choices = _spaces(place)
    except Exception as error:  # noqa: BLE001 - a user's environment may fail in any way
        return f"the environment cannot be built ({type(error).__name__}: {error})"
    if not isinstance(observations, spaces.Box) or len(observations.shape) != 1:
        return f"the observations are {observations}, not a vector of numbers"
    if not isinstance(choices, spaces.Discrete) or choices.start != 0:
        return f"the actions are {choices}, not numbered from 0"
    sizes = policy.shape[1]
    if (sizes[0], sizes[-1]) != (observations.shape[0], int(choices.n)):
        return f"the agent takes {sizes[0]} numbers and chooses among {sizes[-1]} actions"
    return None


@lru_cache(maxsize=1024)
def _spaces(place: EnvironmentSpec) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
    env = make(place)
    try:
        return env.observation_space, env.action_space
    finally:
        env.close()


def _together(
    pairs: Sequence[Pair], policies: Mapping[SavedAgent, Policy], episodes: int, seed: int
) -> Sequence[Outcome]:
    """Agents of one shape in one environment at any of its points."""
    world = world_of(pairs[0][1])
    if world is not None:
        return evaluate_compiled(world, *_compiled_tasks(world, pairs, policies), episodes, seed)
    rows = _rows(pairs)
    hosted = [(rows[agent], place) for agent, place in pairs]
    return evaluate_hosted([policies[agent] for agent in rows], hosted, episodes, seed)


def _compiled_tasks(
    world: World, pairs: Sequence[Pair], policies: Mapping[SavedAgent, Policy]
) -> tuple[list[Policy], list[CompiledTask]]:
    rows = _rows(pairs)
    return [policies[agent] for agent in rows], [(rows[agent], point_of(world, place)) for agent, place in pairs]


def _rows(pairs: Sequence[Pair]) -> dict[SavedAgent, int]:
    return {agent: row for row, agent in enumerate(dict.fromkeys(agent for agent, _ in pairs))}


def _by_reference(agent: SavedAgent, place: EnvironmentSpec, episodes: int, seed: int) -> Outcome:
    try:
        return evaluate(agent.checkpoint, agent.algorithm, place, episodes, seed)
    except Exception as error:  # noqa: BLE001 - kept as this pair's outcome; the others go on
        return error
