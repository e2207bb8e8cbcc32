"""The contract of a parameterised environment: what `proctor check` looks at, for the table's and the user's own."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import gymnasium
from gymnasium.utils.env_checker import check_env, data_equivalence

from envsearch.checks import Check
from envsearch.definition import EnvironmentDefinition, initial_spec
from envsearch.registry import make
from envsearch.spec import EnvironmentSpec

Env = gymnasium.Env[Any, Any]
Record = list[tuple[Any, ...]]
"""What an agent is shown: (observation,) after a reset, (observation, reward, terminated, truncated) after a step."""

STEPS = 200
SEED = 7
PATIENCE = 20_000
"""Steps after which an episode without a time limit counts as endless."""

_COLOUR = re.compile(r"\x1b\[\d+m")


def check_environment(definition: EnvironmentDefinition) -> list[Check]:
    """Try everything that a campaign relies on; a few thousand steps.

    Never raises for a bad environment: what goes wrong inside it is the detail of a failed check. If it cannot be built
    at its initial values, that is the only check.
    """
    built = _judge("it is built at its initial values", partial(_builds, definition))
    if not built.passed:
        return [built]
    clauses: list[tuple[str, Callable[[EnvironmentDefinition], str]]] = [
        ("gymnasium's own checker passes", _gymnasium_checker),
        ("the same seed gives the same episodes", _same_seed),
        ("it is rebuilt from its name and values alone", _rebuilt_from_spec),
        ("an episode ends and the next one starts", _ends_and_resets),
        ("two instances do not disturb each other", _no_interference),
    ]
    checks = [built, *(_judge(name, partial(clause, definition)) for name, clause in clauses)]
    for name in _initial(definition):
        checks += [
            _judge(f"{name} works at both limits", partial(_works_at_limits, definition, name)),
            _judge(f"{name} takes effect", partial(_takes_effect, definition, name)),
        ]
    return checks


class _BrokenError(Exception):
    """A clause does not hold; the text says what was seen."""


def _judge(name: str, clause: Callable[[], str]) -> Check:
    try:
        return Check(name, True, clause())
    except _BrokenError as broken:
        return Check(name, False, str(broken))
    except Exception as error:  # noqa: BLE001 - an environment of a user may fail in any way
        return Check(name, False, _told(error))


def _told(error: Exception) -> str:
    text = " ".join(_COLOUR.sub("", str(error)).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _initial(definition: EnvironmentDefinition) -> dict[str, float]:
    return {parameter.name: parameter.initial for parameter in definition.parameters}


def _far(definition: EnvironmentDefinition, name: str) -> float:
    """The limit further away from the initial value."""
    parameter = definition.parameter(name)
    return max((parameter.low, parameter.high), key=lambda limit: abs(limit - parameter.initial))


def _play(env: Env, steps: int = STEPS) -> Iterator[tuple[Any, ...]]:
    """Random actions from a fixed seed; starts a new episode where one ends."""
    actions = _actions(env)
    yield (env.reset(seed=SEED)[0],)
    for _ in range(steps):
        observation, reward, terminated, truncated, _ = env.step(actions.sample())
        yield observation, float(reward), bool(terminated), bool(truncated)
        if terminated or truncated:
            yield (env.reset()[0],)


def _actions(env: Env) -> gymnasium.Space[Any]:
    """A seeded copy: the instances of a class may share one action space and with it the generator of its samples."""
    actions = copy.deepcopy(env.action_space)
    actions.seed(SEED)
    return actions


def _recorded(env: Env) -> Record:
    with closing(env):
        return _copied(_play(env))


def _copied(steps: Iterator[tuple[Any, ...]]) -> Record:
    """Copies, because an environment may hand out the same array again and again."""
    return [pickle.loads(pickle.dumps(step)) for step in steps]


def _same(first: Record, second: Record) -> bool:
    return bool(data_equivalence(first, second, exact=True))


def _builds(definition: EnvironmentDefinition) -> str:
    made: object = definition.build(_initial(definition))
    if not isinstance(made, gymnasium.Env):
        raise _BrokenError(f"build returned a {type(made).__name__}, not a gymnasium environment")
    with closing(made) as env:
        return " ".join(f"observation {env.observation_space}, action {env.action_space}".split())


def _gymnasium_checker(definition: EnvironmentDefinition) -> str:
    with warnings.catch_warnings(record=True) as caught, closing(definition.build(_initial(definition))) as env:
        warnings.simplefilter("always")
        # Wrapped as agents meet it. Rendering and re-making from gymnasium's own spec are of no use to a campaign.
        check_env(env, skip_render_check=True, skip_close_check=True)
    texts = {_COLOUR.sub("", str(warning.message)).removeprefix("WARN: ") for warning in caught}
    return " ".join(sorted(text for text in texts if "different from the unwrapped version" not in text))


def _same_seed(definition: EnvironmentDefinition) -> str:
    first, second = (_recorded(definition.build(_initial(definition))) for _ in range(2))
    if not _same(first, second):
        raise _BrokenError("two runs with one seed differ; draw everything random from self.np_random")
    return f"{STEPS} steps"


def _rebuilt_from_spec(definition: EnvironmentDefinition) -> str:
    spec: EnvironmentSpec = pickle.loads(pickle.dumps(initial_spec(definition)))
    if not _same(_recorded(make(spec)), _recorded(definition.build(_initial(definition)))):
        raise _BrokenError("the environment rebuilt from its description behaves differently")
    return spec.label()


def _ends_and_resets(definition: EnvironmentDefinition) -> str:
    limit = definition.max_episode_steps or PATIENCE
    with closing(definition.build(_initial(definition))) as env:
        actions = _actions(env)
        start = _copied(iter([(env.reset(seed=SEED)[0],)]))
        steps, ended = 0, False
        while not ended:
            if steps == limit:
                raise _BrokenError(f"no episode ended within {limit} steps; it needs gymnasium.wrappers.TimeLimit")
            _, _, terminated, truncated, _ = env.step(actions.sample())
            steps, ended = steps + 1, bool(terminated or truncated)
        if not _same(start, _copied(iter([(env.reset(seed=SEED)[0],)]))):
            raise _BrokenError("after an episode, reset with the first seed gives another first observation")
        env.step(actions.sample())
        limited = definition.max_episode_steps or (env.spec is not None and env.spec.max_episode_steps)
    doubt = "" if limited else "; no time limit is known: an agent that never ends an episode would run forever"
    return f"ended after {steps} steps{doubt}"


def _no_interference(definition: EnvironmentDefinition) -> str:
    points = [_initial(definition), {name: _far(definition, name) for name in _initial(definition)}]
    alone = [_recorded(definition.build(point)) for point in points]
    first, second = (definition.build(point) for point in points)
    together: tuple[Record, Record] = ([], [])
    with closing(first), closing(second):
        for pair in itertools.zip_longest(_play(first), _play(second)):
            for record, step in zip(together, pair, strict=True):
                record += _copied(iter([step])) if step is not None else []
    if not all(_same(single, shared) for single, shared in zip(alone, together, strict=True)):
        raise _BrokenError("an instance behaves differently while another one is stepped in the same process")
    return "stepped in turn, at the initial values and at the limits"


def _takes_effect(definition: EnvironmentDefinition, name: str) -> str:
    initial, far = _initial(definition), _far(definition, name)
    other = _recorded(definition.build({**initial, name: far}))
    if _same(_recorded(definition.build(initial)), other):
        raise _BrokenError(f"{STEPS} random steps are the same at {far:g}; the environment seems not to read it")
    return f"the episodes differ at {far:g}"


def _works_at_limits(definition: EnvironmentDefinition, name: str) -> str:
    parameter = definition.parameter(name)
    for limit in (parameter.low, parameter.high):
        try:
            record = _recorded(definition.build({**_initial(definition), name: limit}))
        except Exception as error:
            raise _BrokenError(f"at {limit:g}: {_told(error)}") from error
        if not all(math.isfinite(step[1]) for step in record if len(step) > 1):
            raise _BrokenError(f"at {limit:g} a reward is not finite")
    return f"{parameter.low:g} and {parameter.high:g}"
