"""The failure model: what it is fed, how it starts, what it learns, what it tries, and what it remembers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.scheduling.episode import Budget
from agents.scheduling.history_replay import replay
from agents.scheduling.kinds.failure_model import FailureModel
from agents.scheduling.kinds.failure_statistics import DECAYS, FailureStatistics, natural, rates
from agents.scheduling.kinds.fitting import log_fits
from agents.scheduling.kinds.logistic import Logistic
from agents.scheduling.kinds.model_inputs import INPUT_NAMES, model_inputs
from agents.scheduling.loaders.ci_history import Cycle
from agents.scheduling.scheduler import Scheduler
from agents.scheduling.settings import AgentSettings
from agents.scheduling.state import from_bytes, to_bytes
from agents.scheduling.synthetic import flaky_history
from agents.scheduling.testcase import TestCase, TestResult, Verdict
from envsearch.errors import CorruptArtifactError, InputError

SETTINGS = AgentSettings("failure_model", seed=3)


def run(
    scheduler: Scheduler,
    cycle: Cycle,
    number: int,
    known: Sequence[bool] | None = None,
    budget: Budget | None = None,
) -> list[str]:
    """One episode; the ids in the order recommended."""
    episode = scheduler.recommend(cycle.tests, str(number), number, budget)
    results = [
        TestResult(test.id, verdict, float(seconds))
        for place, (test, verdict, seconds) in enumerate(zip(cycle.tests, cycle.verdicts, cycle.durations, strict=True))
        if known is None or known[place]
    ]
    scheduler.record(episode, results)
    scheduler.reward(episode, {result.id: result for result in results})
    return [entry.id for entry in episode.ranking]


def made(names: str, verdicts: str, seconds: Sequence[float] | None = None) -> Cycle:
    """("ab", "FP") -> a failed, b passed."""
    letters = {"F": Verdict.FAILED, "P": Verdict.PASSED}
    durations = np.ones(len(names)) if seconds is None else np.array(seconds, np.float64)
    return Cycle(tuple(TestCase(name) for name in names), tuple(letters[letter] for letter in verdicts), durations)


@given(seed=st.integers(0, 2**16), swap=st.integers(0, 2**16), share=st.sampled_from((None, 0.3, 0.7)))
@settings(max_examples=15, deadline=None)
def test_the_order_of_a_cycle_does_not_depend_on_its_verdicts(seed, swap, share):
    history = flaky_history(np.random.default_rng(seed), tests=20, flaky=5, cycles=6)
    last = history.cycles[-1]
    shuffled = np.random.default_rng(swap).permutation(len(last))
    right = Cycle(last.tests, tuple(last.verdicts[place] for place in shuffled), last.durations[shuffled])
    orders = []
    for final in (last, right):
        scheduler = Scheduler(SETTINGS)
        for number, cycle in enumerate(history.cycles[:-1]):
            run(scheduler, cycle, number)
        orders.append(run(scheduler, final, len(history) - 1, budget=Budget(share=share)))
    assert orders[0] == orders[1]


def test_how_often_a_test_appears_in_the_cycle_is_not_an_input():
    memory = FailureStatistics()
    memory.update(("a", "b", "c"), np.ones(3, np.bool_), np.array([True, False, False]))
    scheduler = Scheduler(SETTINGS)
    run(scheduler, made("abc", "FPP"), 0)
    once = [TestCase("a"), TestCase("b")]
    again = [*once, TestCase("b#2", history_id="b"), TestCase("b#3", history_id="b")]
    shown = [model_inputs(memory, scheduler.recommend(tests, "x", 1).observation) for tests in (once, again)]
    assert np.array_equal(shown[0][1], shown[1][1])
    assert np.array_equal(shown[1][1], shown[1][3])


def test_before_any_data_weights_it_ranks_by_failure_rates():
    scheduler = Scheduler(SETTINGS)
    for number, verdicts in enumerate(("FPP", "FFP", "FPP")):
        run(scheduler, made("abc", verdicts), number)
    assert run(scheduler, made("cba", "PPP"), 3) == ["a", "b", "c"]


def test_the_cheaper_of_two_equal_tests_comes_first_when_time_counts():
    orders = {}
    for objective in ("failures_first", "time_first"):
        chosen = AgentSettings("failure_model", hyperparameters=(("objective", objective), ("cost", 0.0)))
        scheduler = Scheduler(chosen)
        for number in range(4):
            run(scheduler, made("abz", "FFP" if number % 2 else "FPP", (50.0, 1.0, 1.0)), number)
        orders[objective] = run(scheduler, made("abz", "PPP"), 4)
    assert orders["failures_first"][0] == "a"
    assert orders["time_first"][0] == "b"


def test_of_the_tests_that_fit_a_budget_the_likeliest_to_fail_comes_first():
    """With a budget a long test has to be worth what does not fit for it; without one it does not."""
    seconds = (60.0, 10.0, 10.0, 10.0, 10.0)
    scheduler = Scheduler(SETTINGS)
    for number in range(6):
        run(scheduler, made("abcde", "FFFPP" if number < 4 else "FPPPP", seconds), number)
    tests = made("edcba", "PPPPP", seconds[::-1]).tests
    orders = {}
    for share in (None, 1.0, 0.7, 0.4):
        budget = Budget() if share is None else Budget(share=share)
        episode = scheduler.recommend(tests, "x", 6, budget)
        orders[share] = "".join(entry.id for entry in episode.ranking)
    assert orders[None][0] == orders[1.0][0] == orders[0.7][0] == "a"
    assert orders[0.4][-1] == "a"


def test_the_budget_does_not_reveal_how_often_a_test_appears():
    scheduler = Scheduler(SETTINGS)
    for number in range(3):
        run(scheduler, made("abcd", "FPPP" if number else "FFPP", (4.0, 3.0, 2.0, 1.0)), number)
    once = [TestCase(name) for name in "abcd"]
    again = [*once, TestCase("a#2", history_id="a"), TestCase("d#2", history_id="d")]
    shown = [scheduler.recommend(tests, "x", 3, Budget(share=0.5)).scores.priority for tests in (once, again)]
    assert shown[1][:4] == pytest.approx(shown[0])
    assert shown[1][4:] == pytest.approx(shown[0][[0, 3]])


def test_where_verdicts_stay_unknown_the_order_does_not_follow_the_budget():
    names = "abcdefgh"
    scheduler = Scheduler(SETTINGS)
    for number in range(6):
        run(scheduler, made(names, "FPFPFPPP", range(1, 9)), number, [name < "e" for name in names])
    tests = made(names, "PPPPPPPP").tests
    priorities = [scheduler.recommend(tests, "x", 6, Budget(share=share)).scores.priority for share in (0.2, 0.9)]
    assert np.array_equal(priorities[0], priorities[1])


@given(st.lists(st.floats(0.0, 1e4), max_size=12), st.floats(0.0, 1e5), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_the_chance_to_fit_falls_in_the_order_in_which_tests_are_taken(seconds, budget, seed):
    worth = np.random.default_rng(seed).standard_normal(len(seconds))
    chance = log_fits(worth, np.array(seconds, np.float64), budget, 0.3)
    assert np.isfinite(chance).all()
    assert (chance <= 0.0).all()
    more = log_fits(worth, np.array(seconds, np.float64), budget + 1.0, 0.3)
    assert (more >= chance).all()


def test_the_chance_to_fit():
    chance = np.exp(log_fits(np.array([2.0, 3.0, 1.0]), np.array([10.0, 10.0, 10.0]), 20.0, 0.1))
    assert chance == pytest.approx([0.5, 1.0, 0.0], abs=1e-3)


@pytest.mark.parametrize(("doubt", "tried"), [(0.0, False), (100.0, True)])
def test_what_is_not_run_is_tried_in_the_end(doubt, tried):
    scheduler = Scheduler(AgentSettings("failure_model", hyperparameters=(("doubt", doubt),)))
    names = "abcdefgh"
    for number in range(40):
        known = [name != "h" or number < 6 for name in names]
        run(scheduler, made(names, "FPFPFPPP" if number % 2 else "PFPFPFPP"), number, known)
    episode = scheduler.recommend(made(names, "PPPPPPPP").tests, "last", 40)
    first = [entry.id for entry in episode.ranking][:4]
    assert ("h" in first) == tried
    assert episode.scores.explored[names.index("h")] == tried
    assert (episode.scores.exploration > 0.0) == tried


def test_nothing_is_explored_where_every_verdict_is_known():
    history = flaky_history(np.random.default_rng(0), tests=15, flaky=4, cycles=10)
    measured = replay(history, SETTINGS)
    assert measured.exploration[0] == 1.0
    assert not measured.exploration[1:].any()


def test_it_learns_that_pairs_fail_in_turn():
    """Which test fails alternates: a rate cannot tell, the last verdicts can."""
    scheduler = Scheduler(AgentSettings("failure_model", hyperparameters=(("precision", 1.0),)))
    for number in range(40):
        run(scheduler, made("abcd", "FPPP" if number % 2 else "PFPP"), number)
    assert run(scheduler, made("abcd", "PPPP"), 40)[0] == "b"


def test_a_neighbour_in_name_lends_to_a_new_test():
    memory = FailureStatistics()
    keys = tuple(f"suite/{area}/{place}" for area in ("bad", "good") for place in (1, 2, 10))
    for _ in range(5):
        memory.update(keys, np.ones(6, np.bool_), np.array([True] * 3 + [False] * 3))
    new = ["suite/bad/5", "suite/good/5"]
    rows = memory.find(new)
    assert rows.tolist() == [-1, -1]
    near, exists = memory.neighbours(new, rows, 1)
    assert exists.all()
    assert [[keys[row] for row in pair] for pair in near] == [
        ["suite/bad/2", "suite/bad/10"],
        ["suite/good/2", "suite/good/10"],
    ]
    known = ["suite/bad/2"]
    near, _ = memory.neighbours(known, memory.find(known), 1)
    assert [keys[row] for row in near[0]] == ["suite/bad/1", "suite/bad/10"]


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_names_compare_as_their_numbers_do(numbers):
    names = [f"t{number}" for number in numbers]
    assert sorted(names, key=natural) == [f"t{number}" for number in sorted(numbers)]


@given(st.lists(st.booleans(), max_size=12))
def test_rates_are_weighted_means_of_the_verdicts(failed):
    memory = FailureStatistics()
    for bad in failed:
        memory.update(("t",), np.array([True]), np.array([bad]))
    measured = rates(memory, memory.find(["t"]))[0]
    for place, decay in enumerate(DECAYS):
        weights = decay ** np.arange(len(failed))[::-1]
        expected = (weights @ np.array(failed, np.float64) + 0.3 * memory.share) / (weights.sum() + 0.3)
        assert measured[place] == pytest.approx(expected)
    assert memory.column["runs"][0] == (len(failed) if failed else 0)


def test_the_state_comes_back_through_bytes_and_goes_on_the_same():
    history = flaky_history(np.random.default_rng(5), tests=25, flaky=6, cycles=12)
    first = Scheduler(SETTINGS)
    for number, cycle in enumerate(history.cycles[:8]):
        run(first, cycle, number, [place % 3 > 0 for place in range(len(cycle))])
    second = Scheduler(SETTINGS)
    second.restore(from_bytes(to_bytes(first.state())))
    for number, cycle in enumerate(history.cycles[8:], start=8):
        assert run(first, cycle, number) == run(second, cycle, number)
    left, right = first.state(), second.state()
    assert left.keys() == right.keys()
    assert all(np.asarray(left[name]).tobytes() == np.asarray(right[name]).tobytes() for name in left)


def test_the_same_seed_gives_the_same_numbers():
    history = flaky_history(np.random.default_rng(1), tests=15, flaky=4, cycles=10)
    left, right = (replay(history, SETTINGS, feedback="partial", seed=4).metrics["napfd"] for _ in range(2))
    assert left.tobytes() == right.tobytes()


def test_a_state_of_something_else_is_refused():
    agent = FailureModel({}, 0)
    with pytest.raises(CorruptArtifactError):
        agent.restore({"mean": np.zeros(3)})
    state = agent.state()
    del state["memory.streak"]
    with pytest.raises(CorruptArtifactError, match="streak"):
        agent.restore(state)


@pytest.mark.parametrize(
    "hyperparameters",
    [
        {"objective": "money"},
        {"precision": 0.0},
        {"forgetting": 1.5},
        {"doubt": -1.0},
        {"spread": 0.0},
        {"left_out": "weather"},
    ],
)
def test_wrong_hyperparameters(hyperparameters):
    with pytest.raises(InputError):
        FailureModel(hyperparameters, 0)


def test_forgetting_the_longest_unseen(monkeypatch):
    monkeypatch.setattr("agents.scheduling.kinds.failure_statistics.MAX_TESTS", 40)
    memory = FailureStatistics()
    for number in range(6):
        keys = tuple(f"t{number}_{place}" for place in range(10))
        memory.update(keys, np.ones(10, np.bool_), np.zeros(10, np.bool_))
    assert len(memory) == 40
    assert memory.find(["t0_0"]).tolist() == [-1]
    assert memory.find(["t5_9"])[0] >= 0
    assert memory.column["runs"][: len(memory)].tolist() == [1] * len(memory)


def test_logistic_regression_finds_the_weights():
    rng = np.random.default_rng(2)
    truth = np.array([1.5, -1.0, 0.0])
    model = Logistic(np.zeros(3), 0.1, 1.0)
    for _ in range(60):
        shown = rng.standard_normal((50, 3))
        model.learn(shown, (rng.random(50) < 1.0 / (1.0 + np.exp(-shown @ truth))).astype(np.float64), np.ones(50))
    assert model.mean == pytest.approx(truth, abs=0.15)


def test_a_weight_is_a_number_of_observations():
    shown, targets = np.array([[1.0, 0.5], [0.2, 1.0], [0.3, -1.0]]), np.array([1.0, 0.0, 1.0])
    heavy, twice = Logistic(np.zeros(2), 1.0, 1.0), Logistic(np.zeros(2), 1.0, 1.0)
    heavy.learn(shown, targets, np.array([2.0, 1.0, 1.0]))
    twice.learn(shown[[0, 0, 1, 2]], targets[[0, 0, 1, 2]], np.ones(4))
    assert heavy.mean == pytest.approx(twice.mean)
    assert heavy.precision == pytest.approx(twice.precision)


def test_an_input_that_is_always_zero_keeps_its_weight():
    model = Logistic(np.array([0.5, 0.5]), 1.0, 0.9)
    model.learn(np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([0.0, 1.0]), np.ones(2))
    assert model.mean[1] == 0.5
    assert model.precision[1, 1] == pytest.approx(1.0)


def test_every_input_has_a_name():
    scheduler = Scheduler(SETTINGS)
    episode = scheduler.recommend([TestCase("a"), TestCase("b", features=(("area", "x"),))], "1", 0)
    shown = model_inputs(FailureStatistics(), episode.observation)
    assert shown.shape == (2, len(INPUT_NAMES))
    assert np.isfinite(shown).all()
    assert shown[:, -16:].any(axis=1).tolist() == [False, True]
