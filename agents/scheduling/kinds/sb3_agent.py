"""Stable-Baselines3 algorithms as scheduling agents: PPO, A2C and DQN on `TestScheduling-v0`.

After each reward the episode's test cases are replayed in the environment for a bounded number of steps; what the
algorithm learned there gives the priorities of the next recommendation.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer

from agents.deeprl.quiet_warnings import silence
from agents.deeprl.threads import one_thread
from agents.scheduling.agent import SchedulingAgent
from agents.scheduling.environment import TestScheduling, cycle_of
from agents.scheduling.kinds.inputs import input_width, inputs
from agents.scheduling.kinds.isolated_random import isolated_random
from agents.scheduling.kinds.limits import check_network, check_range
from agents.scheduling.kinds.mlp import module_state, optimizer_state, restore_module, restore_optimizer
from agents.scheduling.observation import FloatArray, Observation, Scores
from agents.scheduling.state import State, part, prefixed
from agents.scheduling.testcase import Verdict

SEEDS = 2**31 - 1
"""Seeds of the global generators are drawn below this."""

_RING = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")

EPOCHS = 4
"""How often PPO shows each step to its network."""


class Sb3Agent(SchedulingAgent):
    """One algorithm of Stable-Baselines3, trained online. The discount is 0: no test case follows from another.

    The library draws from the global generators. They are seeded for each call and restored afterwards, so two threads
    must not use agents of this kind at the same time.

    Hyper-parameters:
        history_length: last verdicts of a test among its inputs.
        width, depth: of the hidden layers.
        learning_rate: of the algorithm's own optimizer.
        steps: environment steps per reward, at most.
        balanced: show the tests worth more than the mean as often as the others.
    """

    learns = True
    levels: ClassVar[int] = 0
    defaults: ClassVar[Mapping[str, Any]] = {
        "history_length": 8,
        "width": 32,
        "depth": 2,
        "learning_rate": 1e-3,
        "steps": 128,
        "balanced": True,
    }

    def __init__(self, hyperparameters: Mapping[str, Any], seed: int) -> None:
        super().__init__(hyperparameters, seed)
        settings = self.hyperparameters
        check_range(settings, history_length=(0, 1000), width=(1, 4096), depth=(0, 16), steps=(8, 100_000))
        check_range(settings, learning_rate=(1e-12, 10.0))
        width = input_width(settings["history_length"])
        remembered, batch = settings.get("memory", 0), settings.get("batch_size", EPOCHS)
        check_network(width, settings["width"], settings["depth"], settings["steps"] * batch, 2 * remembered)
        nothing = (np.zeros((1, width), dtype=np.float32), np.zeros(1))
        with isolated_random(seed % SEEDS), one_thread():
            layers = [settings["width"]] * settings["depth"]
            self._model = silence(self._built(TestScheduling([nothing], self.levels), layers))

    @abstractmethod
    def _built(self, environment: TestScheduling, layers: list[int]) -> BaseAlgorithm:
        """The algorithm with fresh weights."""

    @abstractmethod
    def _priorities(self, shown: torch.Tensor) -> torch.Tensor:
        """Shape (n, inputs) -> (n,)."""

    def score(self, observation: Observation, rng: np.random.Generator) -> Scores:
        """The policy's answer without its own noise."""
        shown = torch.tensor(inputs(observation, self.hyperparameters["history_length"]))
        priority = np.zeros(0)
        if len(observation):
            self._model.policy.set_training_mode(False)
            with one_thread(), torch.no_grad():
                priority = self._priorities(shown).numpy().astype(np.float64)
        return Scores(priority, np.zeros(len(observation), dtype=np.bool_), 0.0)

    def learn(
        self,
        observation: Observation,
        scores: Scores,
        verdicts: tuple[Verdict, ...],
        rewards: FloatArray,
        rng: np.random.Generator,
    ) -> None:
        """Replay the episode in the environment: `steps` steps, over and over if the episode is shorter."""
        cycle = cycle_of(observation, rewards, self.hyperparameters["history_length"])
        seed = int(rng.integers(SEEDS))
        if not len(cycle[0]):
            return
        steps = self.hyperparameters["steps"]
        environment = TestScheduling([cycle], self.levels, steps, self.hyperparameters["balanced"])
        self._model.set_env(environment)
        with isolated_random(seed), one_thread():
            self._before_learning(seed)
            self._model.get_env().seed(seed)  # type: ignore[union-attr]
            self._model.action_space.seed(seed)
            self._model.learn(steps)

    def _before_learning(self, seed: int) -> None:
        """Reset what the algorithm would count over several rewards."""

    def state(self) -> State:
        """Parameters of the policy, and what its optimizer keeps."""
        policy = self._model.policy
        return {
            **prefixed("policy", module_state(policy)),
            **prefixed("optimizer", optimizer_state(policy.optimizer)),
        }

    def restore(self, state: State) -> None:
        """Restore the state of an agent with the same hyper-parameters."""
        restore_module(self._model.policy, part("policy", state), "policy")
        restore_optimizer(self._model.policy.optimizer, part("optimizer", state))


class _ActorCritic(Sb3Agent):
    """PPO and A2C: a normal distribution over one continuous priority; its mean is the priority."""

    def _priorities(self, shown: torch.Tensor) -> torch.Tensor:
        policy: Any = self._model.policy
        mean: torch.Tensor = policy.get_distribution(shown).distribution.mean
        return mean.squeeze(-1)


class Ppo(_ActorCritic):
    """Proximal policy optimisation (Schulman et al. 2017) with one continuous priority per test case."""

    kind = "ppo"
    summary = "Stable-Baselines3 PPO on TestScheduling-v0, one continuous priority per test"

    def _built(self, environment: TestScheduling, layers: list[int]) -> BaseAlgorithm:
        steps = self.hyperparameters["steps"]
        return PPO(
            "MlpPolicy",
            environment,
            learning_rate=self.hyperparameters["learning_rate"],
            n_steps=steps,
            batch_size=max(steps // 2, 2),
            n_epochs=EPOCHS,
            gamma=0.0,
            policy_kwargs={"net_arch": layers, "log_std_init": -1.0},
            device="cpu",
        )


class A2c(_ActorCritic):
    """Advantage actor-critic (Mnih et al. 2016) with one continuous priority per test case."""

    kind = "a2c"
    summary = "Stable-Baselines3 A2C on TestScheduling-v0, one continuous priority per test"

    def _built(self, environment: TestScheduling, layers: list[int]) -> BaseAlgorithm:
        return A2C(
            "MlpPolicy",
            environment,
            learning_rate=self.hyperparameters["learning_rate"],
            n_steps=8,
            gamma=0.0,
            normalize_advantage=True,
            policy_kwargs={"net_arch": layers, "log_std_init": -1.0},
            device="cpu",
        )


class Dqn(Sb3Agent):
    """Deep Q-network (Mnih et al. 2015) with five priorities per test case.

    With Q(x, a) near -E[(a - v)^2], the sum over the priorities of a Q(x, a) grows with E[v] alone: it is the
    continuous priority, where the best of five would tie most tests. Actions are drawn evenly while it learns: the
    environment does not care, and all five values are learned. The replay buffer is part of the state.
    """

    kind = "dqn"
    summary = "Stable-Baselines3 DQN on TestScheduling-v0, five priorities per test"
    levels = 5
    defaults: ClassVar[Mapping[str, Any]] = {**Sb3Agent.defaults, "memory": 2_000, "batch_size": 64}

    def _built(self, environment: TestScheduling, layers: list[int]) -> BaseAlgorithm:
        check_range(self.hyperparameters, memory=(1, 100_000), batch_size=(1, 100_000))
        return DQN(
            "MlpPolicy",
            environment,
            learning_rate=self.hyperparameters["learning_rate"],
            buffer_size=self.hyperparameters["memory"],
            learning_starts=0,
            batch_size=self.hyperparameters["batch_size"],
            gamma=0.0,
            train_freq=4,
            gradient_steps=1,
            target_update_interval=self.hyperparameters["steps"],
            exploration_initial_eps=1.0,
            exploration_final_eps=1.0,
            policy_kwargs={"net_arch": layers},
            device="cpu",
        )

    def _priorities(self, shown: torch.Tensor) -> torch.Tensor:
        policy: Any = self._model.policy
        values: torch.Tensor = policy.q_net(shown)
        return values @ torch.linspace(-1.0, 1.0, self.levels)

    def _before_learning(self, seed: int) -> None:
        model: Any = self._model
        model._n_calls = 0
        model.exploration_rate = 1.0

    @property
    def _buffer(self) -> ReplayBuffer:
        model: Any = self._model
        buffer: ReplayBuffer = model.replay_buffer
        return buffer

    def state(self) -> State:
        """Also the filled part of the replay buffer."""
        buffer = self._buffer
        ring: State = {name: getattr(buffer, name)[: buffer.size()].copy() for name in _RING}
        return {**super().state(), **prefixed("buffer", {**ring, "pos": buffer.pos, "full": bool(buffer.full)})}

    def restore(self, state: State) -> None:
        """Restore the state of an agent with the same hyper-parameters."""
        super().restore(state)
        kept = part("buffer", state)
        buffer = self._buffer
        for name in _RING:
            values = np.asarray(kept[name])
            getattr(buffer, name)[: len(values)] = values
        buffer.pos, buffer.full = int(kept["pos"]), bool(kept["full"])
