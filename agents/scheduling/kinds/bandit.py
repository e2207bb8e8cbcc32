"""A linear contextual bandit with uncertainty: test cases that little is known of are tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

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
    standard deviation of the rewards seen. One weight vector serves all test cases: x are the features, a constant
    among them. Source: Li et al. 2010 (WWW), algorithm 1, with one shared model, forgetting, and the width in units
    of the rewards. It explores by itself: use it with exploration "none".

    Hyper-parameters:
        confidence: weight of the uncertainty.
        ridge: weight of the prior w = 0, in test cases.
        forgetting: what an episode still counts after the next one, in (0, 1].
        history_length: last verdicts of a test among its inputs.
    """

    kind = "bandit"
    summary = "linear contextual bandit (LinUCB) with forgetting: what little is known of is tried"
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
        """Upper confidence bounds; `exploration` is the uncertainty's share of what tells the tests apart."""
        shown = self._inputs(observation)
        precision = self._gram + self.hyperparameters["ridge"] * np.eye(len(self._gram))
        factor = cho_factor(precision, lower=True)
        mean = shown @ cho_solve(factor, self._moment)
        widths = np.sqrt(np.sum(solve_triangular(factor[0], shown.T, lower=True) ** 2, axis=0))
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
        shown = self._inputs(observation)[known]
        kept = self.hyperparameters["forgetting"]
        self._gram = kept * self._gram + shown.T @ shown
        self._moment = kept * self._moment + shown.T @ targets
        self._sums = kept * self._sums + np.array([len(targets), targets.sum(), (targets**2).sum()])

    def state(self) -> State:
        """A, b, and the sums behind s."""
        return {"gram": self._gram.copy(), "moment": self._moment.copy(), "sums": self._sums.copy()}

    def restore(self, state: State) -> None:
        """Take over a state made with the same history length."""
        gram = np.array(state["gram"])
        if gram.shape != self._gram.shape:
            raise CorruptArtifactError(f"is of shape {gram.shape}", "bandit.gram", f"{self._gram.shape}")
        self._gram, self._moment, self._sums = gram, np.array(state["moment"]), np.array(state["sums"])

    def _inputs(self, observation: Observation) -> FloatArray:
        shown = inputs(observation, self.hyperparameters["history_length"]).astype(np.float64)
        return np.concatenate([shown, np.ones((len(shown), 1))], axis=1)

    def _spread(self) -> float:
        """Standard deviation of the rewards seen; 1 as long as they were all alike."""
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
