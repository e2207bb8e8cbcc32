"""One replay: an agent kind, a reward and a seed on one history, as a work item with a content address."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np

import agents.scheduling
from agents.scheduling.history_replay import ReplayResult, replay
from agents.scheduling.loaders.ci_history import CiHistory
from agents.scheduling.loaders.registry import load_history
from agents.scheduling.registry import import_paths
from agents.scheduling.settings import DEFAULT_REWARD, AgentSettings
from agents.scheduling.synthetic import flaky_history
from agents.scheduling.testcase import Verdict
from envsearch.canonical import content_address
from envsearch.errors import CorruptArtifactError, unknown_name
from envsearch.import_path import load_object
from orchestration.runtime.artifacts import ArtifactStore

NAME = "replay.json"
SYNTHETIC = {"flaky": flaky_history}
"""Synthetic histories: name -> function of a generator."""


@dataclass(frozen=True, slots=True)
class HistorySource:
    """Where a history comes from.

    Attributes:
        path: absolute; "" for a synthetic one.
        digest: SHA-256 of the content.
        form: name in the table of loaders; None: detected from the content.
        synthetic: name in `SYNTHETIC`; "" for a file.
        seed: of a synthetic history.
        cycles: only the first ones; None: all.
        errors_as_failures: whether an error is a failure of the test.
    """

    path: str = ""
    digest: str = ""
    form: str | None = None
    synthetic: str = ""
    seed: int = 0
    cycles: int | None = None
    errors_as_failures: bool = False

    @classmethod
    def of_file(
        cls, path: Path, form: str | None = None, cycles: int | None = None, errors_as_failures: bool = False
    ) -> HistorySource:
        """A file, or a folder of reports. A missing one is reported when it is loaded."""
        digest = _digest(path, "*.xml")
        return cls(str(path.absolute()), digest, form, cycles=cycles, errors_as_failures=errors_as_failures)

    @classmethod
    def made_up(cls, name: str, seed: int = 0, cycles: int | None = None) -> HistorySource:
        """A synthetic history.

        Raises:
            InputError: no such name.
        """
        if name not in SYNTHETIC:
            raise unknown_name("synthetic history", name, SYNTHETIC, "--synthetic", "proctor replay")
        return cls(synthetic=name, seed=seed, cycles=cycles)

    def identity(self) -> list[Any]:
        """What the content depends on, which excludes the file's location."""
        errors = ["errors_as_failures"] if self.errors_as_failures else []  # other addresses stay as they were
        return [self.digest, self.form, self.synthetic, self.seed, self.cycles, *errors]


@lru_cache(maxsize=2)
def load(source: HistorySource) -> CiHistory:
    """The history; kept for the next item of the same process.

    Raises:
        InputError: see `load_history`.
    """
    if source.synthetic:
        history = SYNTHETIC[source.synthetic](np.random.default_rng(source.seed))
    else:
        history = load_history(Path(source.path), source.form)
    if source.errors_as_failures:
        history = history.with_errors_as(Verdict.FAILED)
    return history if source.cycles is None else replace(history, cycles=history.cycles[: source.cycles])


@dataclass(frozen=True, slots=True)
class ReplayItem:
    """One replay.

    Attributes:
        settings: of the agent, its seed included.
        budget_seconds: the same budget for every cycle, instead of the share.
    """

    source: HistorySource
    settings: AgentSettings
    fill: str = "greedy"
    budget_share: float = 0.5
    budget_seconds: float | None = None
    feedback: str = "full"

    def address(self) -> str:
        """Content address of the result. It covers the agents' code: after a change everything is replayed again."""
        budget = [self.fill, self.budget_share, self.budget_seconds, self.feedback]
        custom = [digest_of_import(path) for path in import_paths(self.settings).values()]
        return content_address("replay", [code_digest(), self.source.identity(), self.settings, *budget, *custom])


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item and the store that its result goes to."""

    item: ReplayItem
    store_url: str


def run_item(stored: StoredItem) -> dict[str, Any]:
    """Replay, and save the result: a task."""
    item = stored.item
    result = replay(
        load(item.source),
        item.settings,
        item.fill,
        item.budget_share,
        item.feedback,
        item.settings.seed,
        budget_seconds=item.budget_seconds,
    )
    plain_result = to_plain(result)
    ArtifactStore(stored.store_url).put(item.address(), NAME, json.dumps(plain_result, allow_nan=False).encode())
    return plain_result


def finished(stored: StoredItem) -> dict[str, Any] | None:
    """The result of an item that was replayed before, or None.

    Raises:
        CorruptArtifactError: its file cannot be read back.
    """
    artifacts, address = ArtifactStore(stored.store_url), stored.item.address()
    if not artifacts.has(address, NAME):
        return None
    try:
        plain_result: dict[str, Any] = json.loads(artifacts.get(address, NAME))
    except ValueError as error:
        place = artifacts.location(address, NAME)
        raise CorruptArtifactError(
            "cannot be read", "", "a replay; delete it to have it created again", place
        ) from error
    return plain_result


def to_plain(result: ReplayResult) -> dict[str, Any]:
    """The curves of a replay as strict JSON; NaN becomes null."""
    return {
        "history": result.history,
        "metrics": {name: _plain(values) for name, values in result.metrics.items()},
        "missed": [bool(value) for value in result.missed],
        "exploration": _plain(result.exploration),
        "seconds": _plain(result.seconds),
        "first_failure": _plain(result.first_failure),
    }


def from_plain(item: ReplayItem, plain_result: Mapping[str, Any]) -> ReplayResult:
    """The inverse of `to_plain`, without the scheduler: that stays where the item was replayed."""
    return ReplayResult(
        history=plain_result["history"],
        settings=item.settings,
        fill=item.fill,
        budget_share=item.budget_share,
        budget_seconds=item.budget_seconds,
        feedback=item.feedback,
        metrics={name: _array(values) for name, values in plain_result["metrics"].items()},
        missed=np.array(plain_result["missed"], np.bool_),
        exploration=_array(plain_result["exploration"]),
        seconds=_array(plain_result["seconds"]),
        first_failure=_array(plain_result["first_failure"]),
        scheduler=cast(Any, None),
    )


def without_reward(settings: AgentSettings, learns: bool) -> AgentSettings:
    """A heuristic's orders do not depend on the reward: with any of them it is the same item."""
    return settings if learns else replace(settings, reward=DEFAULT_REWARD)


@cache
def code_digest() -> str:
    """SHA-256 of the library that a replay's numbers come from."""
    return _digest(Path(agents.scheduling.__file__).parent, "*.py")


@cache
def digest_of_import(path: str) -> str:
    """SHA-256 of the code behind an import path: of its whole top-level package, or of its module."""
    load_object(path)
    name = path.partition(":")[0]
    top = sys.modules[name.partition(".")[0]].__file__
    file = Path(top or sys.modules[name].__file__ or "")
    return _digest(file.parent if file.name == "__init__.py" else file, "*.py")


def _digest(path: Path, pattern: str) -> str:
    """Of a file, or of all matching files below a folder."""
    digest = hashlib.sha256()
    files = sorted(path.rglob(pattern)) if path.is_dir() else [path] if path.is_file() else []
    for file in files:
        digest.update(str(file.relative_to(path)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _plain(values: Any) -> list[float | None]:
    return [None if math.isnan(value) else value for value in np.asarray(values, np.float64).tolist()]


def _array(values: list[float | None]) -> Any:
    return np.array([math.nan if value is None else value for value in values], np.float64)
