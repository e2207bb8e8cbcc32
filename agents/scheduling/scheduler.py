"""The scheduler: an agent with its history, reward and exploration."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from agents.scheduling.budget import fill
from agents.scheduling.columns import (
    RankedColumns,
    TestColumns,
    among,
    chances_column,
    ids_of,
    ranking_columns,
    seconds_of,
)
from agents.scheduling.episode import Budget, Episode, RankedTest
from agents.scheduling.features import observe
from agents.scheduling.history import History
from agents.scheduling.metrics import METRIC_NAMES, cycle_metrics
from agents.scheduling.next_test import next_test
from agents.scheduling.observation import BoolArray, FloatArray, IntArray, Observation, Scores
from agents.scheduling.reasons import Reasons, reasons
from agents.scheduling.registry import exploration, make_agent, reward
from agents.scheduling.reward import EpisodeOutcome, RewardOutcome
from agents.scheduling.rewards.verdict_masks import failed
from agents.scheduling.settings import AgentSettings
from agents.scheduling.state import State, part, prefixed
from agents.scheduling.testcase import TestCase, TestResult, Verdict
from envsearch.errors import CorruptArtifactError, InputError, ProctorError

# Keep the generators of recommending and of learning apart, whatever number and version are.
_RECOMMEND, _LEARN = 0, 1


class Scheduler:
    """Recommends orders of tests, records results, and learns from rewards.

    Its state is a function of the sequence of `record` and `reward` calls alone: the same calls on a restored state
    give the same bits. `recommend` and `next_test` change nothing.

    Args:
        settings: of the agent.
        keep_truncated: keep executions that the history truncates for `history.drain_truncated`.

    Raises:
        InputError: a name or a setting is wrong.
    """

    def __init__(self, settings: AgentSettings, keep_truncated: bool = False) -> None:
        self.settings = settings
        self.history = History(settings.history_length, keep_truncated)
        self.agent = make_agent(settings.kind, dict(settings.hyperparameters), settings.seed)
        self._reward = reward(settings.reward)
        self._exploration = exploration(settings.exploration, dict(settings.exploration_settings))
        self.version = 0
        self._seen: _Seen | None = None

    def recommend(
        self,
        tests: Sequence[TestCase],
        episode_id: str,
        number: int,
        budget: Budget | None = None,
        opened_at: float = 0.0,
        fill_durations: FloatArray | None = None,
        explain: bool = True,
    ) -> Episode:
        """The order in which to run these tests. Changes no state.

        Args:
            number: how many episodes the agent had opened before; the generator derives from (seed, number).
            budget: None: the agent's own.
            fill_durations: seconds to fill the budget with, shape (n,), instead of the expected ones: a replay knows
                the true ones.
            explain: whether to give reasons; without them it is faster.

        Raises:
            InputError: an id appears twice, or a must-run test is not among the tests.
        """
        kept = tests if isinstance(tests, TestColumns) else tuple(tests)
        ids = ids_of(kept)
        if not (isinstance(kept, TestColumns) and kept.unique):
            _refuse_repeated(ids, "test_cases")
        budget = self._checked_budget(budget, ids)
        observation = self._observed(kept, budget)
        rng = np.random.default_rng(np.random.SeedSequence([self.settings.seed, number, _RECOMMEND]))
        scores = self._scores(observation, rng)
        order = np.lexsort((rng.random(len(ids)), -scores.priority))
        durations = observation.durations if fill_durations is None else fill_durations
        selection = fill(order, durations, budget, ids, observation.new)
        texts: Sequence[Reasons] = [()] * len(ids)
        if explain:
            texts = reasons(observation, scores, among(ids, budget.must_run))
        ranking = ranked(selection.order, ids, scores, selection.selected, observation.durations, texts)
        return Episode(episode_id, number, self.version, kept, observation, scores, order, ranking, budget, opened_at)

    def record(self, episode: Episode, results: Sequence[TestResult]) -> None:
        """Enter results, all or some of the episode's, into the history. Each result is to be entered once.

        Raises:
            InputError: a result is for a test that is not in the episode, or a test has two results. Then nothing is
                entered.
        """
        places = {name: place for place, name in enumerate(ids_of(episode.tests))}
        _refuse_unknown((result.id for result in results), places, episode.id)
        _refuse_repeated([result.id for result in results], "results")
        chosen = [places[result.id] for result in results]
        if isinstance(episode.tests, TestColumns):
            keys = episode.observation.keys
            self.history.record_keys([keys[place] for place in chosen], episode.tests.job, results, episode.number)
        else:
            self.history.record([episode.tests[place] for place in chosen], results, episode.number)

    def reward(self, episode: Episode, results: Mapping[str, TestResult]) -> RewardOutcome:
        """Score the episode by its own record, learn from it, and become the next version.

        Args:
            results: by test id; tests without a result count as not run.

        Raises:
            InputError: a result is for a test that is not in the episode. Then nothing is learned.
        """
        _refuse_unknown(results, set(ids_of(episode.tests)), episode.id)
        outcome = episode_outcome(episode, results)
        rewards = self._reward.rewards(outcome)
        if rewards.shape != (len(outcome),) or np.isinf(rewards).any():
            raise ProctorError(f"reward {self.settings.reward} gave no finite number or NaN for each test")
        if self.agent.learns:
            rng = np.random.default_rng(np.random.SeedSequence([self.settings.seed, self.version, _LEARN]))
            self.agent.learn(episode.observation, episode.scores, outcome.verdicts, rewards, rng)
        self.version += 1
        total = float(np.where(np.isnan(rewards), 0.0, rewards).sum())
        return RewardOutcome(rewards, total, episode_metrics(outcome), self.version)

    def next_test(self, episode: Episode, results: Mapping[str, TestResult]) -> RankedTest | None:
        """The test to run next, given this episode's results so far; see `next_test.next_test`. Changes no state.

        Raises:
            InputError: a result is for a test that is not in the episode.
        """
        _refuse_unknown(results, set(ids_of(episode.tests)), episode.id)
        return next_test(self.history, episode, results)

    def state(self) -> State:
        """Everything learned and recorded, as plain arrays and numbers."""
        return {
            "version": self.version,
            **prefixed("history", self.history.state()),
            **prefixed("agent", self.agent.state()),
        }

    def restore(self, state: State) -> None:
        """Restore the state of a scheduler with the same settings; bit for bit the same afterwards.

        Raises:
            CorruptArtifactError: the state does not belong to such a scheduler.
        """
        version = state.get("version")
        if not isinstance(version, int):
            raise CorruptArtifactError("lacks its version", "version", "a state of a scheduler")
        self.history.restore(part("history", state))
        self.agent.restore(part("agent", state))
        self.version = version

    def _observed(self, tests: Sequence[TestCase], budget: Budget) -> Observation:
        """The observation of the tests, kept as long as the history does not change.

        The jobs of one commit often request their orders before any of them has a result.
        """
        seen, changes = self._seen, self.history.changes
        if seen is None or seen.tests is not tests or seen.changes != changes or seen.budget != budget:
            seen = self._seen = _Seen(tests, budget, changes, observe(self.history, tests, budget))
        return seen.observation

    def _scores(self, observation: Observation, rng: np.random.Generator) -> Scores:
        scores = self.agent.score(observation, rng)
        scores = self._exploration.apply(scores, observation, self.version, rng)
        if not np.isfinite(scores.priority).all():
            raise ProctorError(f"agent kind {self.settings.kind} gave a priority that is not a finite number")
        if scores.chances is not None and self.agent.learns and not self._reward.marks_failures:
            # What it learns from such rewards is not how likely a test is to fail.
            return replace(scores, chances=None)
        return scores

    def _checked_budget(self, budget: Budget | None, ids: Collection[str]) -> Budget:
        if budget is None:
            # An agent's own list names tests of all its jobs.
            candidates = set(ids)
            own = self.settings.budget
            return replace(own, must_run=tuple(name for name in own.must_run if name in candidates))
        absent = sorted(set(budget.must_run) - set(ids)) if budget.must_run else []
        if absent:
            raise InputError(f"{absent[0]!r} is not among the test cases", "must_run", "ids of the test cases")
        return budget


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """The newest observation, and what it was made from."""

    tests: Sequence[TestCase]
    budget: Budget
    changes: int
    observation: Observation


def ranked(
    order: IntArray,
    ids: Sequence[str],
    scores: Scores,
    selected: BoolArray,
    durations: FloatArray,
    texts: Sequence[Reasons],
) -> RankedColumns:
    """The ranking in this order; every other argument is by test."""
    places = order.tolist()
    return RankedColumns(
        [ids[test] for test in places],
        scores.priority[order].tolist(),
        selected[order].tolist(),
        durations[order].tolist(),
        [texts[test] for test in places],
        order,
        chances_column(scores.chances, order),
    )


def episode_outcome(episode: Episode, results: Mapping[str, TestResult]) -> EpisodeOutcome:
    """An episode together with the results of its tests."""
    ids = ids_of(episode.tests)
    ranking = ranking_columns(episode.ranking)
    order = ranking.places_among(ids)
    selected = np.zeros(len(ids), np.bool_)
    selected[order] = ranking.selected
    by_test = list(map(results.get, ids))
    verdicts = tuple([Verdict.NOT_RUN if result is None else result.verdict for result in by_test])
    seconds = seconds_of([None if result is None else result.duration for result in by_test])
    durations = np.where(np.isnan(seconds), episode.observation.durations, seconds)
    return EpisodeOutcome(episode, verdicts, durations, order, selected)


def episode_metrics(outcome: EpisodeOutcome) -> dict[str, float]:
    """Metrics of a finished episode, over the tests whose verdict is known.

    A test that never ran might have failed; without its verdict recall and NAPFD are upper bounds. The numbers of
    tests, of selected and of failing tests and the exploration are always present; the metrics of the order only if a
    test failed.
    """
    failures = failed(outcome)
    values: dict[str, float] = {
        "tests": float(len(outcome)),
        "selected": float(outcome.selected.sum()),
        "failed": float(failures.sum()),
        "exploration": outcome.episode.scores.exploration,
    }
    metrics = cycle_metrics(outcome.order, outcome.selected, failures, outcome.durations, outcome.episode.order)
    if metrics is not None:
        values.update({name: getattr(metrics, name) for name in METRIC_NAMES})
    return values


def _refuse_repeated(ids: Sequence[str], field: str) -> None:
    if len(set(ids)) == len(ids):
        return
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            raise InputError(f"{name!r} appears twice", f"{field}.id", "each id once")
        seen.add(name)


def _refuse_unknown(ids: Iterable[str], candidates: Collection[str], episode_id: str) -> None:
    names = list(ids)
    if all(map(candidates.__contains__, names)):
        return
    name = next(name for name in names if name not in candidates)
    raise InputError(f"{name!r} is not in episode {episode_id!r}", "results.id", "a test of the episode")
