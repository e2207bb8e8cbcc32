"""Facts about the algorithms that train agents: the explicit table, and classes named by import path.

The table holds what recipes need before torch is imported; everything that needs the class imports it late.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from agents.deeprl.recipe import PolicySite
from envsearch.errors import InputError, unknown_name
from envsearch.import_path import is_import_path, load_object

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

Family = Literal["on_policy", "off_policy"]

NOT_HYPERPARAMETERS = frozenset(
    (
        *("self", "policy", "env", "policy_kwargs", "seed", "device", "verbose", "_init_setup_model"),
        *("tensorboard_log", "monitor_wrapper", "stats_window_size", "optimize_memory_usage"),
        *("rollout_buffer_class", "rollout_buffer_kwargs", "replay_buffer_class", "replay_buffer_kwargs"),
        *("use_rms_prop", "rms_prop_eps"),
    )
)
"""Constructor arguments that a recipe says elsewhere (policy, seed) or that an engine sets itself."""


@dataclass(frozen=True, slots=True)
class AlgorithmFacts:
    """What recipes and operators must know of an algorithm.

    Attributes:
        name: as in specs.
        family: on-policy algorithms compute returns over a rollout, off-policy ones sample stored transitions.
        source: import path of the Stable-Baselines3 class.
        policy: its default network and optimizer, all explicit.
        summary: one line for listings.
    """

    name: str
    family: Family
    source: str
    policy: PolicySite
    summary: str


ALGORITHMS: dict[str, AlgorithmFacts] = {
    "ppo": AlgorithmFacts(
        "ppo",
        "on_policy",
        "stable_baselines3:PPO",
        PolicySite("Tanh", "Adam", (("eps", 1e-5),), (64, 64)),
        "proximal policy optimisation (Schulman et al. 2017)",
    ),
    "a2c": AlgorithmFacts(
        "a2c",
        "on_policy",
        "stable_baselines3:A2C",
        PolicySite("Tanh", "RMSprop", (("alpha", 0.99), ("eps", 1e-5)), (64, 64)),
        "synchronous advantage actor-critic (Mnih et al. 2016)",
    ),
    "dqn": AlgorithmFacts(
        "dqn",
        "off_policy",
        "stable_baselines3:DQN",
        PolicySite("ReLU", "Adam", (), (64, 64)),
        "deep Q-network (Mnih et al. 2015)",
    ),
}
"""The explicit table: one line per algorithm."""


@lru_cache(maxsize=64)
def algorithm_facts(name: str) -> AlgorithmFacts:
    """The facts of a table entry (any case) or of a Stable-Baselines3 class named by import path.

    Raises:
        InputError: no such algorithm, or the class is not one of Stable-Baselines3's.
    """
    facts = ALGORITHMS.get(name.lower())
    if facts is not None:
        return facts
    if not is_import_path(name):
        raise unknown_name("algorithm", name, ALGORITHMS, field="algorithm")
    return _facts_of_class(name, algorithm_class(name))


@lru_cache(maxsize=64)
def algorithm_class(name: str) -> type[BaseAlgorithm]:
    """The Stable-Baselines3 class of an algorithm; imports torch.

    Raises:
        InputError: the import path names no subclass of Stable-Baselines3's BaseAlgorithm.
    """
    from stable_baselines3.common.base_class import BaseAlgorithm

    known = ALGORITHMS.get(name.lower())
    loaded = load_object(known.source if known else name, field="algorithm")
    if not (inspect.isclass(loaded) and issubclass(loaded, BaseAlgorithm)):
        raise InputError(f"{name!r} is not an algorithm class", "algorithm", "a Stable-Baselines3 algorithm class")
    return loaded


def constructor_arguments(name: str) -> dict[str, inspect.Parameter]:
    """All arguments that the algorithm's constructor takes."""
    return dict(inspect.signature(algorithm_class(name).__init__).parameters)


def hyperparameter_names(name: str) -> tuple[str, ...]:
    """The hyper-parameters that a recipe of this algorithm may set."""
    arguments = constructor_arguments(name)
    return tuple(sorted(argument for argument in arguments if argument not in NOT_HYPERPARAMETERS))


def _facts_of_class(name: str, loaded: type[BaseAlgorithm]) -> AlgorithmFacts:
    """Facts of a user's class, read from its bases and from the signature of its multi-layer policy."""
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

    family: Family = "on_policy" if issubclass(loaded, OnPolicyAlgorithm) else "off_policy"
    policy_class = loaded.policy_aliases.get("MlpPolicy")
    if policy_class is None:
        raise InputError(f"{name!r} has no 'MlpPolicy'", "algorithm", "an algorithm with a multi-layer perceptron")
    defaults = {key: argument.default for key, argument in inspect.signature(policy_class.__init__).parameters.items()}
    optimizer = _class_name(defaults.get("optimizer_class"), "Adam")
    kwargs = (("eps", 1e-5),) if family == "on_policy" and optimizer == "Adam" else ()
    architecture = (64, 64) if family == "on_policy" else (256, 256)
    policy = PolicySite(_class_name(defaults.get("activation_fn"), "Tanh"), optimizer, kwargs, architecture)
    return AlgorithmFacts(name, family, name, policy, (inspect.getdoc(loaded) or name).splitlines()[0])


def _class_name(loaded: Any, default: str) -> str:
    return loaded.__name__ if inspect.isclass(loaded) else default
