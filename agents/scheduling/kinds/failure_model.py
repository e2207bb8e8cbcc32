"""An online model of the probability that each test fails, and an order by it that suits the objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.scheduling.agent import SchedulingAgent
from agents.scheduling.kinds.failure_statistics import FailureStatistics
from agents.scheduling.kinds.fitting import log_fits
from agents.scheduling.kinds.limits import check_range
from agents.scheduling.kinds.logistic import Logistic
from agents.scheduling.kinds.model_inputs import INPUT_NAMES, SHORTEST, distinct, model_inputs
from agents.scheduling.kinds.targets import learnable
from agents.scheduling.observation import BoolArray, FloatArray, Observation, Scores
from agents.scheduling.state import State, part, prefixed
from agents.scheduling.testcase import Verdict
from envsearch.errors import CorruptArtifactError, unknown_name

OBJECTIVES = ("failures_first", "time_first")
RAREST = 0.02
"""Smallest share of episodes with a failure that the doubt assumes."""
BLIND = 0.1
"""Many verdicts stay unknown if more than this share of the candidates had none in their last episode."""
PRIOR = {"rate_0.5": 0.3, "rate_0.9": 0.3, "rate_1": 0.3}
"""Weights before any data: a test is as likely to fail as it did, lately, for some time and ever."""


class FailureModel(SchedulingAgent):
    """Bayesian logistic regression on failure rates at several memories, streaks, times, neighbours in name, duration.

    Before any data its weights rank like a weighted failure rate, so it starts as good as that heuristic. Rewards move
    the weights.

    `time_first` orders the tests of a cycle by ln p - time_cost ln(seconds): 1 finds most failures per second if the
    chances were known (Smith 1956, "ratio rule"). `failures_first` without a budget orders them by p. Under a budget
    it orders them by the chance that a test fails *and* fits: p times the chance that it ends in time if tests ran by
    falling p / seconds^cost. A long test must be worth the many short ones that would not fit; of the tests that fit,
    the likeliest to fail comes first, however long it takes. If many verdicts stay unknown, the tests that fit also
    decide what is learned, and such an exact order would leave out the same tests for long. Then it orders them by
    p / seconds^blind_cost, and the real durations decide which tests fit.

    A test that was a candidate for k episodes without a known verdict may have begun to fail:
    p' = 1 - (1 - p) exp(-doubt o / q (1 - .98^k) / .02), with o the mean rate at which tests begin to fail and q the
    share of episodes with a failure: only in those does it cost anything to try a test too early. If all verdicts
    become known, k is 0: exploration ends when there is nothing to explore.

    Hyper-parameters:
        objective: ``failures_first`` (NAPFD) or ``time_first`` (APFDc, time to the first failure).
        precision: of the prior of each weight, in observations.
        forgetting: weight of an episode's evidence relative to the next one's, in (0, 1].
        cost: exponent of the duration in the chance to fit a budget, with ``failures_first``.
        blind_cost: exponent of the duration with ``failures_first`` if many verdicts stay unknown.
        spread: standard deviation of a test's seconds over its expected ones, in the chance to fit a budget.
        time_cost: exponent of the duration with ``time_first``.
        doubt: how fast the doubt in a test that does not run grows.
        crowding: each of an episode's m failures counts m^-crowding, as failures of one cycle have few causes, and each
            of its passes m^(-crowding / 2).
        left_out: names of inputs that are hidden from the model, separated by commas (to measure their worth).
    """

    kind = "failure_model"
    summary = "online model of the probability to fail; starts as a weighted failure rate, retries tests it rarely sees"
    learns = True
    defaults = {  # noqa: RUF012
        "objective": "failures_first",
        "precision": 30.0,
        "forgetting": 0.999,
        "cost": 0.2,
        "blind_cost": 0.1,
        "spread": 0.05,
        "time_cost": 0.6,
        "doubt": 0.0005,
        "crowding": 0.5,
        "left_out": "",
    }

    def __init__(self, hyperparameters: Mapping[str, Any], seed: int) -> None:
        super().__init__(hyperparameters, seed)
        values = self.hyperparameters
        if values["objective"] not in OBJECTIVES:
            raise unknown_name("objective", values["objective"], OBJECTIVES, field="hyperparameters.objective")
        check_range(values, precision=(1e-6, 1e9), forgetting=(1e-3, 1.0), cost=(0.0, 10.0), time_cost=(0.0, 10.0))
        check_range(values, blind_cost=(0.0, 10.0), spread=(1e-3, 10.0), doubt=(0.0, 1e6), crowding=(0.0, 1.0))
        self._memory = FailureStatistics()
        self._model = self._new_model()
        self._hidden = [INPUT_NAMES.index(name) for name in self._left_out()]
        self._last: tuple[Observation, int, FloatArray] | None = None

    def score(self, observation: Observation, rng: np.random.Generator) -> Scores:
        """By p' of the class's docstring; `explored` tests are in the first half only because they waited.

        `chances` are p: the doubt is a reason to try a test, not evidence that it fails.
        """
        logits = self._model.logits(self._inputs(observation))
        sure = -np.logaddexp(0.0, -logits)
        doubted = self._doubted(observation, sure)
        priority = self._priority(observation, doubted)
        waited = doubted is not sure
        lifted = _lifted(self._priority(observation, sure), priority) if waited else np.zeros(len(sure), np.bool_)
        return Scores(priority, lifted, self._exploration(lifted), chances=np.exp(sure))

    def learn(
        self,
        observation: Observation,
        scores: Scores,
        verdicts: tuple[Verdict, ...],
        rewards: FloatArray,
        rng: np.random.Generator,
    ) -> None:
        """Move the weights towards the rewards, then record the verdicts."""
        known, values = learnable(rewards)
        targets = np.clip(values, 0.0, 1.0)
        if len(targets):
            shown = self._inputs(observation)[known]
            failures, crowding = max(float(targets.sum()), 1.0), float(self.hyperparameters["crowding"])
            weights = targets * failures**-crowding + (1.0 - targets) * failures ** (-crowding / 2.0)
            self._model.learn(shown, targets, weights)
        count = len(verdicts)
        informative = np.fromiter((verdict.informative for verdict in verdicts), np.bool_, count)
        failed = np.fromiter((verdict is Verdict.FAILED for verdict in verdicts), np.bool_, count)
        self._memory.update(observation.keys, informative, failed)

    def state(self) -> State:
        """Weights with their precision, and the statistics of each test."""
        weights: State = {"mean": self._model.mean.copy(), "precision": self._model.precision.copy()}
        return weights | prefixed("memory", self._memory.state())

    def restore(self, state: State) -> None:
        """Restore a state."""
        mean, precision = np.array(state.get("mean", ())), np.array(state.get("precision", ()))
        if precision.shape != self._model.precision.shape or mean.shape != self._model.mean.shape:
            raise CorruptArtifactError(f"is of shape {mean.shape}", "failure_model.mean", f"{self._model.mean.shape}")
        memory = FailureStatistics()
        memory.restore(part("memory", state))
        self._model.mean, self._model.precision, self._memory = mean, precision, memory
        self._last = None

    def _inputs(self, observation: Observation) -> FloatArray:
        """The model's inputs, shape (n, d). Learning right after scoring reuses them: a cache, not state."""
        last = self._last
        if last is not None and last[0] is observation and last[1] == self._memory.clock:
            return last[2]
        shown = model_inputs(self._memory, observation)
        shown[:, self._hidden] = 0.0
        self._last = (observation, self._memory.clock, shown)
        return shown

    def _left_out(self) -> list[str]:
        names = [name for name in self.hyperparameters["left_out"].split(",") if name]
        for name in names:
            if name not in INPUT_NAMES:
                raise unknown_name("input", name, INPUT_NAMES, field="hyperparameters.left_out")
        return names

    def _new_model(self) -> Logistic:
        prior = np.array([PRIOR.get(name, 0.0) for name in INPUT_NAMES])
        return Logistic(prior, self.hyperparameters["precision"], self.hyperparameters["forgetting"])

    def _priority(self, observation: Observation, chance: FloatArray) -> FloatArray:
        """Of tests that fail with these chances, as ln p; shape (n,)."""
        values, seconds = self.hyperparameters, observation.durations
        if values["objective"] == "time_first":
            return chance - float(values["time_cost"]) * np.log(seconds + SHORTEST)
        if observation.budget_seconds is None:
            return chance
        waits = self._memory.column["waited"][self._memory.find(observation.keys)] > 0
        if waits.sum() > BLIND * len(waits):
            return chance - float(values["blind_cost"]) * np.log(seconds + SHORTEST)
        # How often a test appears in the cycle may be a result: each counts once, against a smaller budget.
        first, back = distinct(observation.keys)
        once = seconds[first]
        budget = observation.budget_seconds * float(once.sum() / max(seconds.sum(), SHORTEST))
        worth = chance[first] - float(values["cost"]) * np.log(once + SHORTEST)
        fitting: FloatArray = chance + log_fits(worth, once, budget, float(values["spread"]))[back]
        return fitting

    def _doubted(self, observation: Observation, sure: FloatArray) -> FloatArray:
        """ln p' of the class's docstring, shape (n,)."""
        waited = self._memory.column["waited"][self._memory.find(observation.keys)]
        if not waited.any():
            return sure
        onset = self._memory.onset[0] / self._memory.onset[1] / max(self._memory.failing, RAREST)
        doubt = self.hyperparameters["doubt"] * onset * (1.0 - 0.98**waited) / 0.02
        chance = -np.expm1(np.log1p(-np.minimum(np.exp(sure), 1.0 - 1e-12)) - doubt)
        # Chances too small for a number keep their logarithm.
        doubted: FloatArray = np.maximum(np.log(np.maximum(chance, 1e-300)), sure)
        return doubted

    def _exploration(self, lifted: BoolArray) -> float:
        """The share of the first half that is there because it waited; 1 before the first reward."""
        if self._memory.clock == 0:
            return 1.0
        return float(lifted.sum() / max(len(lifted) // 2, 1))


def _lifted(sure: FloatArray, doubted: FloatArray) -> BoolArray:
    """Tests in the first half of the order that would not be there without the doubt, shape (n,)."""
    half = len(sure) // 2
    lifted = np.zeros(len(sure), np.bool_)
    lifted[np.argsort(-doubted, kind="stable")[:half]] = True
    lifted[np.argsort(-sure, kind="stable")[:half]] = False
    return lifted
