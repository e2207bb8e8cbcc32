"""A linear contextual bandit with uncertainty: it tries test cases with little data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.deeprl.threads import one_thread
from agents.scheduling.agent import SchedulingAgent
from agents.scheduling.kinds.inputs import input_width, inputs
from agents.scheduling.kinds.limits import check_range
from agents.scheduling.kinds.targets import learnable
from agents.scheduling.observation import FloatArray, Observation, Scores
from agents.scheduling.state import State
from agents.scheduling.testcase import Verdict
from envsearch.errors import CorruptArtifactError


class Bandit(SchedulingAgent):
    """LinUCB: priority = x'w + confidence * s * sqrt(x' P^-1 x), with P = ridge * I + A, w = P^-1 b.

    A and b are sums of x x' and x r over the rewarded test cases, shrunk by `forgetting` with each episode; s is the
    standard deviation of the observed rewards. One weight vector serves all test cases: x are the features, a constant
    among them. Source: Li et al. 2010 (WWW), algorithm 1, with one shared model, forgetting, and the width in units
    of the rewards. It explores by itself: use it with exploration "none".

    Hyper-parameters:
        confidence: weight of the uncertainty.
        ridge: weight of the prior w = 0, in test cases.
        forgetting: weight of an episode relative to the next one, in (0, 1].
        history_length: last verdicts of a test among its inputs.
    """

    kind = "bandit"
    summary = "linear contextual bandit (LinUCB) with forgetting: tries tests with little data"
    learns = True
    defaults = {"confidence": 0.5, "ridge": 1.0, "forgetting": 0.999, "history_length": 8}  # noqa: RUF012

    def __init__(self, hyperparameters: Mapping[str, Any], seed: int) -> None:
        super().__init__(hyperparameters, seed)
        check_range(self.hyperparameters, confidence=(0.0, 1e6), ridge=(1e-9, 1e9), forgetting=(1e-3, 1.0))
        check_range(self.hyperparameters, history_length=(0, 1000))
        width = input_width(self.hyperparameters["history_length"]) + 1
        self._gram = np.zeros((width, width))
        self._moment = np.zeros(width)
        self._sums = np.zeros(3)  # of 1, r, r^2

    def score(self, observation: Observation, rng: np.random.Generator) -> Scores:
        """Upper confidence bounds; `exploration` is the uncertainty's share of the differences between tests."""
        mean, widths = self._posterior(self._inputs(observation))
        bonus = self.hyperparameters["confidence"] * self._spread() * widths
        known, unknown = _spread(mean), _spread(bonus)
        exploration = unknown / (known + unknown) if known + unknown > 0.0 else float(self._sums[0] == 0.0)
        return Scores(mean + bonus, _lifted(mean, bonus), exploration)

    def learn(
        self,
        observation: Observation,
        scores: Scores,
        verdicts: tuple[Verdict, ...],
        rewards: FloatArray,
        rng: np.random.Generator,
    ) -> None:
        """One closed-form update with the whole episode."""
        known, targets = learnable(rewards)
        shown = self._inputs(observation)[torch.from_numpy(known)]
        kept = self.hyperparameters["forgetting"]
        with one_thread():
            self._gram = kept * self._gram + (shown.T @ shown).numpy()
            self._moment = kept * self._moment + (shown.T @ torch.tensor(targets)).numpy()
        self._sums = kept * self._sums + np.array([len(targets), targets.sum(), (targets**2).sum()])

    def state(self) -> State:
        """A, b, and the sums behind s."""
        return {"gram": self._gram.copy(), "moment": self._moment.copy(), "sums": self._sums.copy()}

    def restore(self, state: State) -> None:
        """Restore a state with the same history length."""
        gram = np.array(state["gram"])
        if gram.shape != self._gram.shape:
            raise CorruptArtifactError(f"is of shape {gram.shape}", "bandit.gram", f"{self._gram.shape}")
        self._gram, self._moment, self._sums = gram, np.array(state["moment"]), np.array(state["sums"])

    def _inputs(self, observation: Observation) -> Tensor:
        """Inputs and a constant, shape (n, d). torch computes the products, since it can be limited to one thread."""
        shown = torch.tensor(inputs(observation, self.hyperparameters["history_length"]), dtype=torch.float64)
        return torch.cat([shown, torch.ones(len(shown), 1, dtype=torch.float64)], dim=1)

    def _posterior(self, shown: Tensor) -> tuple[FloatArray, FloatArray]:
        """x'w and sqrt(x' P^-1 x) of each row, shape (n,) each."""
        precision = torch.tensor(self._gram + self.hyperparameters["ridge"] * np.eye(len(self._gram)))
        with one_thread():
            factor = torch.linalg.cholesky(precision)
            weights = torch.cholesky_solve(torch.tensor(self._moment)[:, None], factor)
            widths = torch.linalg.solve_triangular(factor, shown.T, upper=False).square().sum(dim=0).sqrt()
            return (shown @ weights)[:, 0].numpy(), widths.numpy()

    def _spread(self) -> float:
        """Standard deviation of the observed rewards; 1 while they are all equal."""
        count, total, squares = self._sums
        variance = squares / count - (total / count) ** 2 if count > 0.0 else 0.0
        return float(np.sqrt(variance)) if variance > 1e-12 else 1.0


def _spread(values: FloatArray) -> float:
    return float(np.std(values)) if len(values) else 0.0


def _lifted(mean: FloatArray, bonus: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Tests in the first half of the order that would not be there by the mean alone, shape (n,)."""
    half = len(mean) // 2
    lifted = np.zeros(len(mean), dtype=np.bool_)
    lifted[np.argsort(-(mean + bonus), kind="stable")[:half]] = True
    lifted[np.argsort(-mean, kind="stable")[:half]] = False
    return lifted
