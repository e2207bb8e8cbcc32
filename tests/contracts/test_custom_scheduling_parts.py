"""Custom agent kinds, rewards and explorations, named by import path."""

from __future__ import annotations

import json
import sys

import pytest

from agents.scheduling.registry import (
    agent_kind,
    exploration,
    import_paths,
    reward,
)
from agents.scheduling.scheduler import Scheduler
from agents.scheduling.settings import AgentSettings
from agents.scheduling.testcase import TestCase, TestResult, Verdict
from envsearch.errors import InputError
from orchestration.cli import main

MODULE = '''
"""Parts of a user's own."""
from dataclasses import replace
import numpy as np
from agents.scheduling.agent import SchedulingAgent
from agents.scheduling.explorer import Exploration
from agents.scheduling.observation import Scores
from agents.scheduling.reward import Reward
from agents.scheduling.rewards.verdict_masks import failed


class Alphabetical(SchedulingAgent):
    kind = "alphabetical"
    summary = "by name"

    def score(self, observation, rng):
        places = np.argsort(np.argsort(np.array(observation.keys, dtype=object)))
        return Scores(-places.astype(np.float64), np.zeros(len(places), np.bool_), 0.0)


class Failing(Reward):
    name = "failing"
    summary = "3 for a failed test"

    def rewards(self, outcome):
        return 3.0 * failed(outcome).astype(np.float64)


class Reversed(Exploration):
    name = "reversed"
    summary = "the other way round"

    def apply(self, scores, observation, version, rng):
        return replace(scores, priority=-scores.priority)


class Unfinished(SchedulingAgent):
    kind = "unfinished"


class Crooked(Alphabetical):
    def score(self, observation, rng):
        return Scores(np.zeros(1), np.zeros(1, np.bool_), 0.0)
'''


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """The name of a module in the working directory that holds `MODULE`."""
    name = f"own_parts_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield name
    sys.modules.pop(name, None)


def test_a_scheduler_takes_custom_parts(parts):
    settings = AgentSettings(f"{parts}:Alphabetical", f"{parts}:Failing", f"{parts}:Reversed")
    scheduler = Scheduler(settings)
    episode = scheduler.recommend([TestCase("b"), TestCase("a"), TestCase("c")], "e", 0)
    assert [entry.id for entry in episode.ranking] == ["c", "b", "a"]
    assert scheduler.reward(episode, {"a": TestResult("a", Verdict.FAILED)}).total == 3.0
    assert list(import_paths(settings)) == ["kind", "reward", "exploration"]
    assert import_paths(AgentSettings("random")) == {}


@pytest.mark.parametrize(
    ("look_up", "name", "text"),
    [
        (agent_kind, "Failing", "kind: '{parts}:Failing' is not a class for the agent kind; expected a subclass of"),
        (agent_kind, "Unfinished", "kind: '{parts}:Unfinished' lacks score; expected every abstract method"),
        (agent_kind, "Absent", "kind: '{parts}:Absent': '{parts}' has no 'Absent'"),
        (reward, "Alphabetical", "reward: '{parts}:Alphabetical' is not a class for the reward"),
        (lambda name: exploration(name, {}), "np", "exploration: '{parts}:np' is not a class for the exploration"),
        (lambda name: exploration(name, {"x": 1}), "Reversed", "unknown exploration setting 'x'"),
    ],
)
def test_a_wrong_path_is_refused_in_one_line(parts, look_up, name, text):
    with pytest.raises(InputError) as refused:
        look_up(f"{parts}:{name}")
    assert text.format(parts=parts) in str(refused.value) and "\n" not in str(refused.value)


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return left.value.code, capsys.readouterr()


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [("Alphabetical", "agent kind", 0), ("Failing", "reward", 0), ("Reversed", "exploration", 0), ("Crooked", None, 1)],
)
def test_check_finds_the_contract_by_the_base_class(parts, capsys, name, kind, code):
    left, printed = run(capsys, "check", f"{parts}:{name}", "--format", "json")
    rows = json.loads(printed.out)
    assert left == code and all(row["passed"] for row in rows) == (code == 0)
    assert {row["kind"] for row in rows} == {kind or "agent kind"}


@pytest.mark.parametrize(("name", "kind"), [("tableau", "agent kind"), ("apfdc", "reward"), ("none", "exploration")])
def test_check_takes_listed_names(capsys, name, kind):
    code, printed = run(capsys, "check", name, "--format", "json")
    assert code == 0 and {row["kind"] for row in json.loads(printed.out)} == {kind}


def test_replay_takes_a_custom_kind_and_runs_it_again_after_a_change(parts, capsys, tmp_path, monkeypatch):
    from orchestration.studies import replay_item

    def replayed():
        replay_item.digest_of_import.cache_clear()
        options = ("--agent", f"{parts}:Alphabetical", "--reward", f"{parts}:Failing", "--executor", "inline")
        places = ("--home", str(tmp_path / "home"), "--tracking-uri", "none")
        common = ("replay", "--synthetic", "flaky", "--cycles", "3", "--seeds", "1", "--format", "json", "--quiet")
        code, printed = run(capsys, *common, *options, *places)
        assert code == 0, printed.err
        return json.loads(printed.out)

    (row,) = replayed()
    assert row["agent"] == f"{parts}:Alphabetical" and row["cycles"] == 3
    calls = []
    monkeypatch.setattr(replay_item, "replay", lambda *_, **__: calls.append(1) or 1 / 0)
    assert replayed() == [row] and not calls
    (tmp_path / f"{parts}.py").write_text(MODULE + "# changed\n")
    with pytest.raises(ZeroDivisionError):
        replayed()
