"""A fully connected network: the state of one test case in, one continuous priority out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from agents.deeprl.threads import one_thread
from agents.scheduling.agent import SchedulingAgent
from agents.scheduling.kinds.inputs import input_width, inputs
from agents.scheduling.kinds.limits import check_network, check_range
from agents.scheduling.kinds.mlp import (
    ACTIVATIONS,
    Mlp,
    module_state,
    optimizer_state,
    restore_module,
    restore_optimizer,
)
from agents.scheduling.kinds.replay_memory import ReplayMemory
from agents.scheduling.kinds.targets import learnable
from agents.scheduling.observation import FloatArray, Observation, Scores
from agents.scheduling.state import State, part, prefixed
from agents.scheduling.testcase import Verdict
from envsearch.errors import unknown_name


class Network(SchedulingAgent):
    """Predicts the reward of each test case; the highest prediction runs first.

    A regression with mean squared error from inputs at the time of the recommendation to the episode's rewards, trained
    with Adam on a replay memory after each reward. Targets are standardised over the memory. It is the network agent of
    Spieker et al. 2017 (ISSTA), section 3.3, with a continuous action, richer inputs and Adam; a start with one class
    of rewards alone (all tests pass, all fail) is an ordinary regression.

    Hyper-parameters:
        width, depth, activation (relu, tanh, elu): of the hidden layers; depth 0 is a linear regression.
        history_length: last verdicts of a test among its inputs.
        learning_rate, weight_decay: of Adam (AdamW's decoupled decay).
        memory: rewarded test cases kept for training.
        batch_size, epochs: minibatches of so many rows, so many times over the whole memory per reward.
        updates: at most so many minibatches per reward.
    """

    kind = "network"
    summary = "fully connected network on torch: features of one test in, one continuous priority out"
    learns = True
    defaults = {  # noqa: RUF012 - a ClassVar in the base class
        "width": 32,
        "depth": 2,
        "activation": "relu",
        "history_length": 8,
        "learning_rate": 1e-3,
        "weight_decay": 0.1,
        "memory": 10_000,
        "batch_size": 256,
        "epochs": 2,
        "updates": 20,
    }

    def __init__(self, hyperparameters: Mapping[str, Any], seed: int) -> None:
        super().__init__(hyperparameters, seed)
        settings = self.hyperparameters
        check_range(settings, width=(1, 4096), depth=(0, 16), history_length=(0, 1000), learning_rate=(0.0, 10.0))
        check_range(settings, weight_decay=(0.0, 10.0), memory=(1, 1e6), batch_size=(1, 1e6), epochs=(0, 1000))
        check_range(settings, updates=(0, 1e5))
        if settings["activation"] not in ACTIVATIONS:
            raise unknown_name("activation", settings["activation"], ACTIVATIONS, field="hyperparameters.activation")
        width = input_width(settings["history_length"])
        rows = min(settings["batch_size"] * settings["updates"], settings["memory"] * settings["epochs"])
        check_network(width, settings["width"], settings["depth"], rows, settings["memory"])
        self._network = Mlp(width, settings["width"], settings["depth"], settings["activation"], seed)
        self._optimizer = torch.optim.AdamW(
            self._network.parameters(), lr=settings["learning_rate"], weight_decay=settings["weight_decay"]
        )
        self._memory = ReplayMemory(settings["memory"], width)

    def score(self, observation: Observation, rng: np.random.Generator) -> Scores:
        """The predicted rewards, in standard deviations of the rewards in the memory."""
        # A tensor of torch's own: the last bits of a product may depend on how its memory is aligned.
        values = torch.tensor(inputs(observation, self.hyperparameters["history_length"]))
        with one_thread(), torch.no_grad():
            priority = self._network(values).numpy().astype(np.float64)
        return Scores(priority, np.zeros(len(observation), dtype=np.bool_), 0.0)

    def learn(
        self,
        observation: Observation,
        scores: Scores,
        verdicts: tuple[Verdict, ...],
        rewards: FloatArray,
        rng: np.random.Generator,
    ) -> None:
        """Add the episode to the memory, and train on the memory."""
        known, targets = learnable(rewards)
        shown = inputs(observation, self.hyperparameters["history_length"])
        self._memory.add(shown[known], targets.astype(np.float32))
        if len(self._memory):
            with one_thread():
                self._train(rng)

    def _train(self, rng: np.random.Generator) -> None:
        targets = self._memory.targets
        spread = float(targets.std()) or 1.0
        standardised = torch.from_numpy((targets - targets.mean()) / spread)
        values = torch.from_numpy(self._memory.inputs)
        size, left = self.hyperparameters["batch_size"], self.hyperparameters["updates"]
        for _ in range(self.hyperparameters["epochs"]):
            order = torch.from_numpy(rng.permutation(len(targets)))
            for rows in torch.split(order, size)[:left]:
                self._optimizer.zero_grad()
                loss = torch.mean((self._network(values[rows]) - standardised[rows]) ** 2)
                loss.backward()  # type: ignore[no-untyped-call]
                self._optimizer.step()
                left -= 1

    def state(self) -> State:
        """Weights, moments of the optimizer, memory."""
        return {
            **prefixed("network", module_state(self._network)),
            **prefixed("optimizer", optimizer_state(self._optimizer)),
            **prefixed("memory", self._memory.state()),
        }

    def restore(self, state: State) -> None:
        """Restore the state of a network of the same shape."""
        restore_module(self._network, part("network", state), "network")
        restore_optimizer(self._optimizer, part("optimizer", state))
        self._memory.restore(part("memory", state))
