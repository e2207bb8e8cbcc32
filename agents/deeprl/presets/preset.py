"""Presets: the hyper-parameters and step budgets of known pairs, each number with its source.

The numbers are in ``presets/*.yaml``; the table maps each pair to its file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

from agents.deeprl.algorithms import algorithm_facts, constructor_arguments, hyperparameter_names
from agents.deeprl.recipe import PolicySite, Scalar, TrainingRecipe
from envsearch.errors import InputError, unknown_name
from envsearch.spec import EnvironmentSpec

PRESETS: dict[tuple[str, str], str] = {
    ("CartPole-v1", "ppo"): "cartpole_ppo.yaml",
    ("CartPole-v1", "a2c"): "cartpole_a2c.yaml",
    ("CartPole-v1", "dqn"): "cartpole_dqn.yaml",
    ("LunarLander-v3", "ppo"): "lunarlander_ppo.yaml",
    ("LunarLander-v3", "a2c"): "lunarlander_a2c.yaml",
    ("LunarLander-v3", "dqn"): "lunarlander_dqn.yaml",
}
"""The explicit table: (canonical environment name, algorithm) -> file."""

POLICY_FIELDS = ("activation", "optimizer", "optimizer_kwargs", "net_arch")


@dataclass(frozen=True, slots=True)
class Preset:
    """How a pair is trained when a spec says nothing else.

    Attributes:
        total_steps: None where no published budget exists; the spec must then say it.
        threshold: mean evaluation reward that the healthy population must reach; None: not known.
        hyperparameters: all of them, explicit, as sorted pairs.
        sources: (field, where its number comes from) pairs, in reading order.
    """

    environment: str
    algorithm: str
    total_steps: int | None
    threshold: float | None
    hyperparameters: tuple[tuple[str, Scalar], ...]
    policy: PolicySite
    sources: tuple[tuple[str, str], ...]

    def recipe(
        self,
        environment: EnvironmentSpec,
        steps: int | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> TrainingRecipe:
        """The healthy recipe of this pair.

        Args:
            environment: the point that agents are trained at.
            steps: step budget instead of the preset's.
            overrides: hyper-parameters instead of the preset's; the policy's fields (activation, optimizer,
                optimizer_kwargs, net_arch) are named like the others.

        Raises:
            InputError: an unknown hyper-parameter (with the nearest known name), or no step budget.
        """
        total_steps = self.total_steps if steps is None else steps
        if total_steps is None:
            raise InputError(
                f"there is no preset for {self.environment} with {self.algorithm}", "steps", "a number of steps"
            )
        hyperparameters, policy = dict(self.hyperparameters), self.policy
        known = hyperparameter_names(self.algorithm)
        for name, value in (overrides or {}).items():
            if name in POLICY_FIELDS:
                policy = _policy_with(policy, name, value)
            elif name in known:
                hyperparameters[name] = _scalar(name, value)
            else:
                raise unknown_name("hyper-parameter", name, (*known, *POLICY_FIELDS), field=f"hyperparameters.{name}")
        return TrainingRecipe(environment, self.algorithm, tuple(hyperparameters.items()), total_steps, policy)


@lru_cache(maxsize=64)
def preset(environment: str, algorithm: str) -> Preset:
    """The preset of a pair; for a pair without one, Stable-Baselines3's own defaults and no step budget.

    Args:
        environment: canonical name.
        algorithm: table name or import path.

    Raises:
        InputError: no such algorithm.
    """
    facts = algorithm_facts(algorithm)
    file_name = PRESETS.get((environment, facts.name))
    if file_name is None:
        return _library_defaults(environment, facts.name)
    text = resources.files("agents.deeprl.presets").joinpath(file_name).read_text(encoding="utf-8")
    return _from_mapping(yaml.safe_load(text))


def _from_mapping(content: Mapping[str, Any]) -> Preset:
    policy = {name: entry["value"] for name, entry in content["policy"].items()}
    sources = [("total_steps", content["total_steps"]["source"]), ("threshold", content["threshold"]["source"])]
    sources += [(name, entry["source"]) for name, entry in content["hyperparameters"].items()]
    sources += [(name, entry["source"]) for name, entry in content["policy"].items()]
    return Preset(
        environment=content["environment"],
        algorithm=content["algorithm"],
        total_steps=content["total_steps"]["value"],
        threshold=content["threshold"]["value"],
        hyperparameters=tuple(sorted((name, entry["value"]) for name, entry in content["hyperparameters"].items())),
        policy=PolicySite(
            policy["activation"],
            policy["optimizer"],
            tuple(sorted(policy["optimizer_kwargs"].items())),
            tuple(policy["net_arch"]),
        ),
        sources=tuple(sources),
    )


def _library_defaults(environment: str, algorithm: str) -> Preset:
    """Every scalar default of the constructor, spelled out, so that a recipe does not change with the library."""
    arguments, names = constructor_arguments(algorithm), hyperparameter_names(algorithm)
    defaults = tuple(
        (name, arguments[name].default)
        for name in names
        if isinstance(arguments[name].default, str | bool | int | float) or arguments[name].default is None
    )
    sources = tuple((name, "Stable-Baselines3 default") for name, _ in defaults)
    return Preset(environment, algorithm, None, None, defaults, algorithm_facts(algorithm).policy, sources)


def _policy_with(policy: PolicySite, name: str, value: Any) -> PolicySite:
    fields: dict[str, Any] = {field: getattr(policy, field) for field in POLICY_FIELDS}
    if name == "net_arch":
        if not (isinstance(value, list | tuple) and all(isinstance(n, int) and n > 0 for n in value)):
            raise InputError(
                f"{value!r} is not a network", "hyperparameters.net_arch", "a list of units per hidden layer"
            )
        fields[name] = tuple(value)
    elif name == "optimizer_kwargs":
        if not isinstance(value, Mapping):
            raise InputError(f"{value!r} is not a mapping", "hyperparameters.optimizer_kwargs", "name: number pairs")
        fields[name] = tuple(sorted((str(key), float(item)) for key, item in value.items()))
    else:
        fields[name] = str(value)
        if name == "optimizer" and value != policy.optimizer:
            fields["optimizer_kwargs"] = ()
    return PolicySite(**fields)


def _scalar(name: str, value: Any) -> Scalar:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise InputError(
        f"{value!r} is not a plain value", f"hyperparameters.{name}", "a number, text, true, false or null"
    )
