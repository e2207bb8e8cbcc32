"""Recipe + seed -> a Stable-Baselines3 model, with a seam where the recipe has a fault and nowhere else."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from agents.deeprl.algorithms import algorithm_class, algorithm_facts, constructor_arguments
from agents.deeprl.engines.sb3.collection import HiddenTimeLimits, LostTerminalFlags, losing_state_updates
from agents.deeprl.engines.sb3.experience import FaultyExperience
from agents.deeprl.engines.sb3.policy_loss import InvertedPolicyLoss
from agents.deeprl.engines.sb3.replay_buffer import FaultyReplayBuffer
from agents.deeprl.engines.sb3.rollout import FaultyRolloutBuffer
from agents.deeprl.quiet_warnings import silence
from agents.deeprl.recipe import ExperienceSite, LossSite, ReturnsSite, Scalar, StateSite, TerminalSite, TrainingRecipe
from envsearch.errors import InputError, unknown_name
from envsearch.registry import make

SITES = ("experience", "terminal", "state", "returns", "loss")


def site_rng(seed: int, site: str) -> np.random.Generator:
    """The generator of one site of one agent: it shares no draws with the training or with other sites."""
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(SITES.index(site),)))


def build(recipe: TrainingRecipe, seed: int, all_seams: bool = False) -> BaseAlgorithm:
    """The untrained model.

    Args:
        recipe: what to build.
        seed: of initial weights, actions, minibatches, environment and faults.
        all_seams: put in the seams of healthy sites too; the training must then still be the healthy one, bit for
            bit (the contract of neutrality).

    Raises:
        InputError: a hyper-parameter, activation or optimizer that the algorithm does not take.
    """
    on_policy = algorithm_facts(recipe.algorithm).family == "on_policy"
    algorithm = algorithm_class(recipe.algorithm)
    if on_policy and (all_seams or recipe.state != StateSite()):
        algorithm = losing_state_updates(algorithm, recipe.state.missed_update, site_rng(seed, "state"))
    arguments: dict[str, Any] = {name: _argument(value) for name, value in recipe.hyperparameters}
    arguments |= {"policy_kwargs": _policy_arguments(recipe), "device": "cpu", "seed": seed}
    arguments |= _rollout_seam(recipe, seed, all_seams) if on_policy else _replay_seam(recipe, seed, all_seams)
    if "use_rms_prop" in constructor_arguments(recipe.algorithm):
        arguments["use_rms_prop"] = False  # the recipe names its optimizer itself
    try:
        model = algorithm("MlpPolicy", training_environment(recipe, seed, all_seams), **arguments)
    except (TypeError, ValueError, AssertionError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{recipe.algorithm} refuses them: {first_line}", "hyperparameters") from error
    if isinstance(model, OnPolicyAlgorithm) and (all_seams or recipe.loss != LossSite()):
        InvertedPolicyLoss(recipe.loss.inverted, site_rng(seed, "loss")).install(model)
    return silence(model)


def shown_environment(recipe: TrainingRecipe, seed: int, all_seams: bool = False) -> gymnasium.Env[Any, Any]:
    """One environment as the learner sees it; its Monitor logs the reward that the recipe wants logged."""
    site = recipe.experience
    true = make(recipe.environment)
    if not all_seams and site == ExperienceSite():
        return Monitor(true)
    if site.log_mutated_reward:
        return Monitor(FaultyExperience(true, site, site_rng(seed, "experience")))
    return FaultyExperience(Monitor(true), site, site_rng(seed, "experience"))


def training_environment(recipe: TrainingRecipe, seed: int, all_seams: bool = False) -> VecEnv:
    """`shown_environment` for the library: vectorised, with the terminal site unless the replay buffer has it."""
    vectorised: VecEnv = DummyVecEnv([lambda: shown_environment(recipe, seed, all_seams)])
    site = recipe.terminal
    if algorithm_facts(recipe.algorithm).family == "on_policy" and (all_seams or site.missed > 0.0):
        vectorised = LostTerminalFlags(vectorised, site.missed, site_rng(seed, "terminal"))
    return HiddenTimeLimits(vectorised) if site.time_limit_is_terminal else vectorised


def _rollout_seam(recipe: TrainingRecipe, seed: int, all_seams: bool) -> dict[str, Any]:
    if not all_seams and recipe.returns == ReturnsSite():
        return {}
    return {
        "rollout_buffer_class": FaultyRolloutBuffer,
        "rollout_buffer_kwargs": {
            "returns": recipe.returns,
            "returns_rng": site_rng(seed, "returns"),
        },
    }


def _replay_seam(recipe: TrainingRecipe, seed: int, all_seams: bool) -> dict[str, Any]:
    healthy = (recipe.returns, recipe.loss, recipe.state) == (ReturnsSite(), LossSite(), StateSite())
    if not all_seams and healthy and recipe.terminal == TerminalSite(0.0, recipe.terminal.time_limit_is_terminal):
        return {}
    if recipe.hyperparameter("n_steps", 1) != 1:
        # the library would drop its n-step buffer for ours with no more than a warning
        raise InputError("faults off-policy need one-step returns", "hyperparameters.n_steps", "1")
    default_gamma = constructor_arguments(recipe.algorithm)["gamma"].default
    return {
        "replay_buffer_class": FaultyReplayBuffer,
        "replay_buffer_kwargs": {
            "recipe": recipe,
            "gamma": float(recipe.hyperparameter("gamma", default_gamma)),  # type: ignore[arg-type]
            "terminal_rng": site_rng(seed, "terminal"),
            "state_rng": site_rng(seed, "state"),
            "returns_rng": site_rng(seed, "returns"),
            "loss_rng": site_rng(seed, "loss"),
        },
    }


def _policy_arguments(recipe: TrainingRecipe) -> dict[str, Any]:
    policy = recipe.policy
    return {
        "net_arch": list(policy.net_arch),
        "activation_fn": _torch_class(torch.nn, policy.activation, torch.nn.Module, "activation"),
        "optimizer_class": _torch_class(torch.optim, policy.optimizer, torch.optim.Optimizer, "optimizer"),
        "optimizer_kwargs": dict(policy.optimizer_kwargs),
    }


def _torch_class(module: Any, name: str, base: type, field: str) -> Any:
    item = getattr(module, name, None)
    if not (isinstance(item, type) and issubclass(item, base)):
        known = [key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, base)]
        raise unknown_name(field, name, known, field=f"policy.{field}")
    return item


def _argument(value: Scalar) -> Any:
    """A recipe's value as the constructor takes it: ``lin_0.001`` falls linearly from 0.001 to 0."""
    if isinstance(value, str) and value.startswith("lin_"):
        return LinearSchedule(float(value.removeprefix("lin_")), 0.0, 1.0)
    return value
