"""A block under training in the store: kept in time, found again, ignored where it is of no use, removed at the end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.deeprl.engines.base import AgentSelection
from agents.deeprl.engines.fleet.engine import FleetEngine
from agents.deeprl.presets.preset import preset
from envsearch.definition import initial_spec
from envsearch.errors import InputError
from envsearch.registry import environment
from orchestration.execution.checkpoints import VARIABLE, TrainingCheckpoints
from orchestration.execution.results import ResultStore
from orchestration.execution.tasks import run_block
from orchestration.execution.work import AgentKey, BlockReport, TrainBlock

OVERRIDES = {"n_steps": 64, "batch_size": 32, "n_epochs": 2, "net_arch": [8, 8]}
RECIPE = preset("CartPole-v1", "ppo").recipe(initial_spec(environment("CartPole-v1")), 6144, OVERRIDES)
KEYS = tuple(AgentKey(RECIPE, seed, "fleet") for seed in (3, 4))


class Clock:
    """A clock that moves only when the test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def kept(store: Path | str, keys: tuple[AgentKey, ...] = KEYS, **options: Any) -> TrainingCheckpoints:
    return TrainingCheckpoints(str(store), keys, options.pop("note", print), **options)


def files(store: Path) -> list[str]:
    return [path.name for path in store.rglob("*") if path.is_file() and path.name.startswith("training")]


def test_kept_found_and_removed(tmp_path: Path) -> None:
    first = kept(tmp_path)
    assert first.load() is None and not first.resumed
    first.save(b"one")
    first.save(b"two")
    second = kept(tmp_path)
    assert second.load() == b"two" and second.resumed
    second.done()
    assert kept(tmp_path).load() is None
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "others",
    [
        KEYS[:1],
        (KEYS[1], KEYS[0]),
        tuple(dataclasses.replace(key, engine="sb3") for key in KEYS),
        tuple(dataclasses.replace(key, selection=AgentSelection("best")) for key in KEYS),
        tuple(dataclasses.replace(key, recipe=RECIPE.replace(total_steps=7000)) for key in KEYS),
    ],
)
def test_another_training_has_another_place(tmp_path: Path, others: tuple[AgentKey, ...]) -> None:
    kept(tmp_path).save(b"one")
    assert kept(tmp_path, others).load() is None


def test_first_after_a_while_then_now_and_then(tmp_path: Path) -> None:
    clock = Clock()
    checkpoints = kept(tmp_path, every=60.0, clock=clock)
    due = []
    for _ in range(130):
        clock.now += 1
        due.append(checkpoints.due())
        if checkpoints.due():
            checkpoints.save(b"state")
    assert [second + 1 for second, is_due in enumerate(due) if is_due] == [60, 120]


def test_a_slow_store_gets_fewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    checkpoints = kept(tmp_path, every=60.0, clock=clock)

    def put(*_arguments: object) -> None:
        clock.now += 10

    monkeypatch.setattr(checkpoints._store, "put", put)
    checkpoints.save(b"state")
    clock.now += 499
    assert not checkpoints.due()
    clock.now += 2
    assert checkpoints.due()


def test_a_store_that_fails_costs_the_checkpoint_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    notes: list[str] = []
    checkpoints = kept(tmp_path / "file", note=notes.append)
    assert checkpoints.load() is None
    checkpoints.save(b"state")
    checkpoints.done()
    assert ["was not read" in notes[0], "was not written" in notes[1]] == [True, True]


@pytest.mark.parametrize("setting", ["often", "-1", "nan", "inf"])
def test_how_often_must_be_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv(VARIABLE, setting)
    with pytest.raises(InputError, match=f"{VARIABLE}: '{setting}' is not a number of seconds"):
        kept(tmp_path)


def test_off_is_never(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "off")
    assert not kept(tmp_path).due()


# -- a real block --


class Killed(BaseException):
    """Ends a training as a kill does: nothing is done after it."""


def killed_after(monkeypatch: pytest.MonkeyPatch, checkpoints: int, store: Path) -> None:
    """Run the block until so many checkpoints are written."""
    left = [checkpoints]
    honest = TrainingCheckpoints.save

    def save(self: TrainingCheckpoints, state: bytes) -> None:
        honest(self, state)
        left[0] -= 1
        if not left[0]:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(TrainingCheckpoints, "save", save)
        with pytest.raises(Killed):
            run_block(TrainBlock(KEYS), str(store))


def facts(store: Path) -> list[Any]:
    results = ResultStore(str(store))
    return [
        (record.weights_digest, record.episode_steps, record.episode_returns)
        for record in results.records(KEYS)
        if record
    ]


@pytest.fixture
def undisturbed(tmp_path: Path) -> list[Any]:
    run_block(TrainBlock(KEYS), str(tmp_path / "undisturbed"))
    return facts(tmp_path / "undisturbed")


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "0")
    monkeypatch.setattr("orchestration.execution.checkpoints.LARGEST_SHARE", 1e9)


@pytest.mark.usefixtures("often")
def test_a_killed_block_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: list[Any]) -> None:
    killed_after(monkeypatch, 2, tmp_path / "killed")
    assert files(tmp_path / "killed") == ["training.npz"]
    counts: list[tuple[float, float]] = []
    report = run_block(TrainBlock(KEYS), str(tmp_path / "killed"), report=lambda *numbers: counts.append(numbers))
    assert facts(tmp_path / "killed") == undisturbed and len(undisturbed) == 2
    assert counts[0][0] == counts[0][1] > 0
    assert "was resumed from" in notes(report)
    assert files(tmp_path / "killed") == []


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize(
    ("damage", "reason"),
    [(lambda data: data[:-10], "SHA-256"), (lambda data: b"", "cut short"), (lambda data: b"PK" + data, "format")],
)
def test_a_damaged_checkpoint_is_reported_and_the_block_starts_from_the_beginning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: list[Any],
    damage: Callable[[bytes], bytes],
    reason: str,
) -> None:
    killed_after(monkeypatch, 1, tmp_path / "killed")
    (path,) = (tmp_path / "killed").rglob("training.npz")
    path.write_bytes(damage(path.read_bytes()))
    report = run_block(TrainBlock(KEYS), str(tmp_path / "killed"))
    assert facts(tmp_path / "killed") == undisturbed
    assert "is ignored, and the training starts from the beginning" in notes(report) and reason in notes(report)
    assert "gone on" not in notes(report)
    assert files(tmp_path / "killed") == []


def test_a_short_block_leaves_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(self: TrainingCheckpoints, state: bytes) -> None:
        pytest.fail("saved though the block had not run long")

    monkeypatch.setattr(TrainingCheckpoints, "save", save)
    report = run_block(TrainBlock(KEYS), str(tmp_path))
    assert report.notes == () and all(ResultStore(str(tmp_path)).trained(KEYS))


@pytest.mark.usefixtures("often")
def test_a_block_that_fails_together_is_trained_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = FleetEngine.train

    def train(self: FleetEngine, recipe: Any, seeds: Any, *rest: Any, **options: Any) -> Any:
        if len(seeds) > 1:
            raise MemoryError
        return honest(self, recipe, seeds, *rest, **options)

    train.__signature__ = __import__("inspect").signature(honest)  # type: ignore[attr-defined]
    monkeypatch.setattr(FleetEngine, "train", train)
    run_block(TrainBlock(KEYS), str(tmp_path))
    assert all(ResultStore(str(tmp_path)).trained(KEYS))
    assert files(tmp_path) == []


def notes(report: BlockReport) -> str:
    return "\n".join(report.notes)
