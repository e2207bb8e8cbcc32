"""A result is believed only if it is whole and its own."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.deeprl.engines.base import AgentSelection, TrainedAgent
from agents.deeprl.recipe import PolicySite, TrainingRecipe
from envsearch.canonical import canonical_json
from envsearch.errors import CorruptArtifactError, ProctorError, StoreUnavailableError
from envsearch.spec import EnvironmentSpec
from orchestration.execution.results import ResultStore
from orchestration.execution.work import AgentKey, EvaluationKey

CARTPOLE = EnvironmentSpec("CartPole-v1", (("cart_mass", 1.0),))
RECIPE = TrainingRecipe(CARTPOLE, "ppo", (("gamma", 0.98), ("n_steps", 32)), 1000, PolicySite("Tanh", "Adam"))
KEY = AgentKey(RECIPE, 7)
AGENT = TrainedAgent(7, b"PK zip bytes", "f" * 64, (12, 40), (12.0, 0.1 + 0.2), 1000, 1.5)
EVALUATION = EvaluationKey(KEY, CARTPOLE, episodes=3)


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(str(tmp_path))


def folder(store: ResultStore, address: str) -> Path:
    return Path(store.url) / "objects" / address[:2] / address


def test_an_agent_comes_back_as_it_was(store: ResultStore) -> None:
    assert not store.has_agent(KEY)
    store.save_agent(KEY, AGENT)
    assert store.has_agent(KEY)
    assert store.done(KEY.address())
    assert store.load_agent(KEY) == AGENT
    record = store.agent_record(KEY)
    assert record.recipe == RECIPE
    assert record.selection == AgentSelection()
    assert record.checkpoint_bytes == len(AGENT.checkpoint)
    assert dict(record.versions)["python"]


def test_an_agent_without_its_record_does_not_exist(store: ResultStore) -> None:
    store.save_agent(KEY, AGENT)
    (folder(store, KEY.address()) / "record.json").unlink()
    assert not store.has_agent(KEY)
    with pytest.raises(ProctorError, match="not in the store: agent with seed 7"):
        store.load_agent(KEY)
    store.save_agent(KEY, AGENT)
    assert store.load_agent(KEY) == AGENT


def test_two_workers_that_train_the_same_agent_do_not_harm_each_other(store: ResultStore) -> None:
    twin = dataclasses.replace(AGENT, checkpoint=b"the same weights in a zip of another minute")
    store.save_agent(KEY, AGENT)
    record = (folder(store, KEY.address()) / "record.json").read_bytes()
    store.save_agent(KEY, twin)
    assert store.load_agent(KEY) == twin
    (folder(store, KEY.address()) / "record.json").write_bytes(record)
    assert store.load_agent(KEY) == AGENT


@settings(max_examples=30)
@given(
    returns=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
    seconds=st.floats(0, 1e6),
)
def test_returns_come_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, returns: list[float], seconds: float
) -> None:
    store = ResultStore(str(tmp_path_factory.mktemp("store")))
    store.save_evaluation(EVALUATION, tuple(returns), seconds)
    assert store.has_evaluation(EVALUATION)
    assert list(map(float.hex, store.load_evaluation(EVALUATION))) == list(map(float.hex, returns))
    assert store.evaluation_seconds(EVALUATION) == seconds


def test_an_evaluation_that_was_not_run(store: ResultStore) -> None:
    assert not store.has_evaluation(EVALUATION)
    with pytest.raises(ProctorError, match=r"not in the store: evaluation in CartPole-v1 \(cart_mass 1\)"):
        store.load_evaluation(EVALUATION)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_returns_that_are_not_finite_are_kept_of_an_evaluation_and_refused_of_a_training(
    store: ResultStore, value: float
) -> None:
    store.save_evaluation(EVALUATION, (1.0, value, -math.inf), 0.1)
    assert list(map(str, store.load_evaluation(EVALUATION))) == ["1.0", str(value), "-inf"]
    with pytest.raises(ProctorError, match="not finite from episode 1 on"):
        store.save_agent(KEY, dataclasses.replace(AGENT, episode_returns=(1.0, value)))
    assert not store.has_agent(KEY)


def test_of_a_dead_agent_the_finite_episodes_are_kept(store: ResultStore) -> None:
    agent = dataclasses.replace(AGENT, episode_steps=(1, 2, 3), episode_returns=(1.0, math.nan, 2.0), dead=True)
    store.save_agent(KEY, agent)
    assert store.load_agent(KEY) == dataclasses.replace(agent, episode_steps=(1,), episode_returns=(1.0,))
    assert store.agent_record(KEY).dead


def test_records_from_before_dead_agents_were_noticed_are_read(store: ResultStore) -> None:
    store.save_agent(KEY, AGENT)
    path = folder(store, KEY.address()) / "record.json"
    body = json.loads(path.read_text(encoding="utf-8"))["body"]
    del body["dead"]
    sealed = {"format": 1, "sha256": hashlib.sha256(canonical_json(body).encode()).hexdigest(), "body": body}
    path.write_text(json.dumps(sealed), encoding="utf-8")
    assert store.load_agent(KEY) == AGENT


def test_results_that_do_not_fit_their_key_are_refused(store: ResultStore) -> None:
    with pytest.raises(ProctorError, match="seed 7, got the one with seed 8"):
        store.save_agent(KEY, dataclasses.replace(AGENT, seed=8))
    with pytest.raises(ProctorError, match="3 episodes, got 2"):
        store.save_evaluation(EVALUATION, (1.0, 2.0), 0.1)


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def change_a_digit(data: bytes) -> bytes:
    at = data.rindex(b"1")
    return data[:at] + b"2" + data[at + 1 :]


def garbage(_: bytes) -> bytes:
    return b"\xff\xfenot json"


def other_json(_: bytes) -> bytes:
    return b"[1, 2]"


@pytest.mark.parametrize("damage", [cut, change_a_digit, garbage, other_json])
def test_a_damaged_record_or_evaluation_is_named(store: ResultStore, damage: object) -> None:
    store.save_agent(KEY, AGENT)
    store.save_evaluation(EVALUATION, (1.0, 2.0, 3.0), 0.1)
    record = folder(store, KEY.address()) / "record.json"
    evaluation = folder(store, EVALUATION.address()) / "evaluation.json"
    for path in (record, evaluation):
        path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    for path, load in (
        (record, lambda: store.agent_record(KEY)),
        (evaluation, lambda: store.load_evaluation(EVALUATION)),
    ):
        with pytest.raises(CorruptArtifactError, match="delete this folder and `run`") as caught:
            load()
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_damaged_or_missing_checkpoint_is_named(store: ResultStore) -> None:
    store.save_agent(KEY, AGENT)
    (checkpoint,) = folder(store, KEY.address()).glob("model-*.zip")
    checkpoint.write_bytes(cut(AGENT.checkpoint))
    with pytest.raises(CorruptArtifactError, match="SHA-256 is not the recorded one") as caught:
        store.load_agent(KEY)
    assert str(checkpoint) in str(caught.value)
    assert store.agent_record(KEY).seed == 7, "the record does not need the checkpoint"
    checkpoint.unlink()
    with pytest.raises(CorruptArtifactError, match=r"model-.*zip is missing"):
        store.load_agent(KEY)


def test_another_agents_files_are_not_believed(store: ResultStore) -> None:
    other = AgentKey(RECIPE, 8)
    store.save_agent(other, dataclasses.replace(AGENT, seed=8))
    folder(store, KEY.address()).parent.mkdir(parents=True, exist_ok=True)
    folder(store, other.address()).rename(folder(store, KEY.address()))
    with pytest.raises(CorruptArtifactError, match="another agent's record"):
        store.load_agent(KEY)


def test_a_record_of_another_shape_is_not_believed(store: ResultStore) -> None:
    store.save_evaluation(EVALUATION, (1.0, 2.0, 3.0), 0.1)
    sealed = (folder(store, EVALUATION.address()) / "evaluation.json").read_bytes()
    assert json.loads(sealed)["format"] == 1
    folder(store, KEY.address()).mkdir(parents=True)
    (folder(store, KEY.address()) / "record.json").write_bytes(sealed)
    with pytest.raises(CorruptArtifactError, match="is not a record"):
        store.agent_record(KEY)


def test_a_failure_is_remembered_until_the_item_succeeds(store: ResultStore) -> None:
    for key in (KEY, EVALUATION):
        assert store.failure(key.address()) is None
        store.save_failure(key.address(), "Traceback ...\nValueError: x")
        assert store.failure(key.address()) == "Traceback ...\nValueError: x"
        assert not store.done(key.address())
    store.save_agent(KEY, AGENT)
    store.save_evaluation(EVALUATION, (1.0, 2.0, 3.0), 0.1)
    assert store.failure(KEY.address()) is None
    assert store.failure(EVALUATION.address()) is None


def test_a_store_that_cannot_be_written_is_an_error_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailableError):
        ResultStore(str(tmp_path / "file")).save_agent(KEY, AGENT)


def test_only_the_url_travels(store: ResultStore) -> None:
    store.save_agent(KEY, AGENT)
    assert pickle.loads(pickle.dumps(store)).load_agent(KEY) == AGENT
    assert len(pickle.dumps(store)) < 1000
