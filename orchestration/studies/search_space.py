"""Search spaces of hyper-parameters: as data, with defaults per algorithm, or read from a user's YAML file.

A draw is rounded to four significant digits, so that the number in a table or a spec is the number that was trained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.deeprl.algorithms import algorithm_facts, hyperparameter_names
from agents.deeprl.recipe import Scalar
from envsearch.errors import InputError, unknown_name
from orchestration.campaign.spec.yaml_source import read_yaml


@dataclass(frozen=True, slots=True)
class LogUniform:
    """Uniform in the logarithm, between two positive numbers."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """One value in [low, high]."""
        return _rounded(math.exp(rng.uniform(math.log(self.low), math.log(self.high))), self.low, self.high)


@dataclass(frozen=True, slots=True)
class Uniform:
    """Uniform between two numbers."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """One value in [low, high]."""
        return _rounded(rng.uniform(self.low, self.high), self.low, self.high)


@dataclass(frozen=True, slots=True)
class Integer:
    """Every whole number between two, both included, with equal probability."""

    low: int
    high: int

    def draw(self, rng: np.random.Generator) -> int:
        """One value in low..high."""
        return int(rng.integers(self.low, self.high, endpoint=True))


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some values, with equal probability."""

    values: tuple[Scalar, ...]

    def draw(self, rng: np.random.Generator) -> Scalar:
        """One of the values."""
        return self.values[int(rng.integers(len(self.values)))]


Range = LogUniform | Uniform | Integer | Choice
Space = tuple[tuple[str, Range], ...]
"""(hyper-parameter, its range) pairs, sorted by name."""

RANGES: dict[str, type[LogUniform] | type[Uniform] | type[Integer] | type[Choice]] = {
    "log_uniform": LogUniform,
    "uniform": Uniform,
    "integer": Integer,
    "choice": Choice,
}
"""The explicit table: as a space file names them."""

_GAMMA = Choice((0.95, 0.98, 0.99, 0.995, 0.999))
_ON_POLICY: dict[str, Range] = {
    "learning_rate": LogUniform(1e-5, 5e-3),
    "gamma": _GAMMA,
    "gae_lambda": Choice((0.8, 0.9, 0.95, 0.98, 1.0)),
    "ent_coef": LogUniform(1e-8, 0.1),
    "max_grad_norm": Choice((0.3, 0.5, 1.0, 2.0)),
}
_OFF_POLICY: dict[str, Range] = {
    "learning_rate": LogUniform(1e-5, 5e-3),
    "gamma": _GAMMA,
    "batch_size": Choice((32, 64, 128, 256)),
}
DEFAULT_SPACES: dict[str, dict[str, Range]] = {
    "ppo": {
        **_ON_POLICY,
        "n_steps": Choice((128, 256, 512, 1024, 2048)),
        "batch_size": Choice((32, 64, 128, 256)),
        "n_epochs": Choice((4, 5, 10, 20)),
        "clip_range": Choice((0.1, 0.2, 0.3)),
    },
    "a2c": {**_ON_POLICY, "n_steps": Choice((5, 8, 16, 32, 64))},
    "dqn": {
        **_OFF_POLICY,
        "target_update_interval": Choice((10, 100, 250, 1000)),
        "train_freq": Choice((1, 4, 16)),
        "exploration_fraction": Uniform(0.05, 0.4),
        "exploration_final_eps": Uniform(0.01, 0.2),
    },
    "on_policy": _ON_POLICY,
    "off_policy": _OFF_POLICY,
}
"""The explicit table: algorithm, or family for a class that a user brings, to its default space.

The ranges lie around the presets' values, with room on both sides; this project chose them, they are not published.
"""


def default_space(algorithm: str) -> Space:
    """The default space of an algorithm, without the hyper-parameters that its constructor lacks.

    Raises:
        InputError: no such algorithm.
    """
    facts = algorithm_facts(algorithm)
    ranges = DEFAULT_SPACES.get(facts.name) or DEFAULT_SPACES[facts.family]
    known = hyperparameter_names(algorithm)
    return tuple((name, ranges[name]) for name in sorted(ranges) if name in known)


def read_space(path: Path, algorithm: str) -> Space:
    """The space in a YAML file; one line per hyper-parameter, as in ``gamma: {uniform: [0.9, 0.999]}``.

    Raises:
        InputError: the file cannot be read, names no hyper-parameter of the algorithm, or a range is impossible.
    """
    known = hyperparameter_names(algorithm)
    try:
        content = read_yaml(path)
        return tuple((name, _range(name, content[name], known)) for name in sorted(content, key=str))
    except InputError as error:
        raise error.located(str(path)) from None


def described(space: Space) -> dict[str, dict[str, Any]]:
    """The inverse of `read_space`, as plain data."""
    kinds = {range_type: name for name, range_type in RANGES.items()}
    return {
        name: {kinds[type(item)]: list(item.values if isinstance(item, Choice) else (item.low, item.high))}
        for name, item in space
    }


def draw(space: Space, count: int, rng: np.random.Generator) -> list[dict[str, Scalar]]:
    """`count` points of the space.

    Where both are searched, a batch is never larger than the rollout it is taken from.

    Raises:
        InputError: no such point was found in 1000 tries.
    """
    points = []
    for _ in range(count):
        tries = ({name: item.draw(rng) for name, item in space} for _ in range(1000))
        point = next(filter(_consistent, tries), None)
        if point is None:
            raise InputError("every batch_size is larger than every n_steps", "batch_size", "batches within a rollout")
        points.append(point)
    return points


def _consistent(point: Mapping[str, Scalar]) -> bool:
    batch, rollout = point.get("batch_size"), point.get("n_steps")
    return not (isinstance(batch, int) and isinstance(rollout, int)) or batch <= rollout


def _range(name: str, value: Any, known: tuple[str, ...]) -> Range:
    if name not in known:
        raise unknown_name("hyper-parameter", str(name), known, field=str(name))
    if not isinstance(value, dict) or len(value) != 1:
        raise InputError(f"{value!r} is not a range", name, f"one of {', '.join(RANGES)} and its values")
    ((kind, values),) = value.items()
    if kind not in RANGES:
        raise unknown_name("range", str(kind), RANGES, field=name)
    if not isinstance(values, list):
        raise InputError(f"{values!r} is not a list", f"{name}.{kind}", "a list of values")
    return _choice(name, values) if kind == "choice" else _interval(name, kind, values)


def _choice(name: str, values: list[Any]) -> Choice:
    if not values or not all(value is None or isinstance(value, str | bool | int | float) for value in values):
        raise InputError(
            f"{values!r} is not a choice", f"{name}.choice", "at least one number, text, true, false or null"
        )
    return Choice(tuple(values))


def _interval(name: str, kind: str, values: list[Any]) -> Range:
    field = f"{name}.{kind}"
    numbers = int if kind == "integer" else int | float
    if len(values) != 2 or not all(isinstance(value, numbers) and not isinstance(value, bool) for value in values):
        expected = "two whole numbers" if kind == "integer" else "two numbers"
        raise InputError(f"{values!r} is not an interval", field, f"{expected}, [low, high]")
    low, high = values
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"[{low}, {high}] is empty", field, "low < high, both finite")
    if kind == "log_uniform" and low <= 0:
        raise InputError(f"{low} is not positive", field, "positive numbers")
    if kind == "integer":
        return Integer(low, high)
    return LogUniform(low, high) if kind == "log_uniform" else Uniform(low, high)


def _rounded(value: float, low: float, high: float) -> float:
    return min(max(float(f"{value:.4g}"), low), high)
