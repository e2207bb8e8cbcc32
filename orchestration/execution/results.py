"""What has been computed: trained agents and evaluations under their content addresses.

An agent is two blobs. Its checkpoint is written first, under a name that carries its own hash; ``record.json`` is
written last and is the commit: an agent without a record does not exist, whatever else its folder holds. An
evaluation is one JSON blob. Every JSON blob carries a hash of its body, so a damaged one is never used.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

from pydantic import TypeAdapter, ValidationError

from agents.deeprl.engines.base import AgentSelection, TrainedAgent
from agents.deeprl.recipe import TrainingRecipe
from envsearch.canonical import canonical_json, plain
from envsearch.errors import CorruptArtifactError, ProctorError
from orchestration.execution.work import AgentKey, EvaluationKey
from orchestration.runtime.artifacts import ArtifactStore

_RECORD = "record.json"
_EVALUATION = "evaluation.json"
_FAILURE = "failure.json"
_PACKAGES = ("proctor", "stable-baselines3", "gymnasium", "torch", "numpy")


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """Everything about a trained agent except its weights; cheap to read.

    Attributes:
        recipe, seed, engine, selection: what it was trained from.
        checkpoint_sha256: hash of the checkpoint's bytes.
        checkpoint_bytes: its size.
        versions: (package, version) pairs of the worker that trained it, its Python and its processor.
        weights_digest, episode_steps, episode_returns, selected_step, train_seconds, dead, cpu_seconds: see
            `TrainedAgent`; records of 0.1.0 have no CPU time. Of a dead agent only the episodes before the first return
            that is not finite are kept.
    """

    recipe: TrainingRecipe
    seed: int
    engine: str
    selection: AgentSelection
    checkpoint_sha256: str
    checkpoint_bytes: int
    weights_digest: str
    episode_steps: tuple[int, ...]
    episode_returns: tuple[float, ...]
    selected_step: int
    train_seconds: float
    versions: tuple[tuple[str, str], ...]
    dead: bool = False
    cpu_seconds: float | None = None


class ResultStore:
    """Trained agents, evaluations and failures. Picklable: only the URL is sent.

    Every method raises StoreUnavailableError when the store itself cannot be read or written.

    Args:
        url: as for `ArtifactStore`.
    """

    def __init__(self, url: str) -> None:
        self._artifacts = ArtifactStore(url)
        self.url = self._artifacts.url

    def __reduce__(self) -> tuple[type[ResultStore], tuple[str]]:
        return (ResultStore, (self.url,))

    def has_agent(self, key: AgentKey) -> bool:
        """Whether the agent has been trained: its record, written last, exists."""
        return self._artifacts.has(key.address(), _RECORD)

    def trained(self, keys: Sequence[AgentKey]) -> list[bool]:
        """`has_agent` of each, many at a time where the store is remote."""
        return self._artifacts.each(self.has_agent, keys)

    def save_agent(self, key: AgentKey, agent: TrainedAgent) -> None:
        """Store a trained agent and forget an earlier failure.

        Raises:
            ProctorError: a training return of a living agent is not finite, or the agent has another seed than its
                key.
        """
        if agent.seed != key.seed:
            raise ProctorError(f"expected the agent with seed {key.seed}, got the one with seed {agent.seed}")
        if agent.dead:
            agent = _until_not_finite(agent)
        _check_finite(agent.episode_returns, "training returns")
        address = key.address()
        record = _record(key, agent)
        self._artifacts.put(address, _checkpoint_name(record), agent.checkpoint)
        self._artifacts.put(address, _RECORD, _seal(record))
        self._artifacts.delete(address, _FAILURE)

    def agent_record(self, key: AgentKey) -> AgentRecord:
        """The record, without reading the checkpoint.

        Raises:
            ProctorError: the agent has not been trained.
            CorruptArtifactError: the record cannot be read back, or is another agent's.
        """
        address = key.address()
        body = self._open(address, _RECORD, f"agent with seed {key.seed}", "trains this agent again")
        try:
            record = _record_adapter().validate_python(body)
        except ValidationError as error:
            raise self._corrupt(address, _RECORD, "is not a record", "trains this agent again") from error
        if (record.recipe.address, record.seed) != (key.recipe.address, key.seed):
            raise self._corrupt(address, _RECORD, "is another agent's record", "trains this agent again")
        return record

    def records(self, keys: Sequence[AgentKey]) -> list[AgentRecord | None]:
        """`agent_record` of each, None for those not trained; many at a time where the store is remote."""

        def record(key: AgentKey) -> AgentRecord | None:
            return self.agent_record(key) if self.has_agent(key) else None

        return self._artifacts.each(record, keys)

    def load_agent(self, key: AgentKey) -> TrainedAgent:
        """The agent with its checkpoint.

        Raises:
            ProctorError: the agent has not been trained.
            CorruptArtifactError: record or checkpoint is missing, cut short or changed.
        """
        record = self.agent_record(key)
        address, name, remedy = key.address(), _checkpoint_name(record), "trains this agent again"
        try:
            checkpoint = self._artifacts.get(address, name)
        except FileNotFoundError as error:
            raise self._corrupt(address, name, "is missing", remedy) from error
        if hashlib.sha256(checkpoint).hexdigest() != record.checkpoint_sha256:
            raise self._corrupt(address, name, "is damaged (its SHA-256 is not the recorded one)", remedy)
        return TrainedAgent(
            seed=record.seed,
            checkpoint=checkpoint,
            weights_digest=record.weights_digest,
            episode_steps=record.episode_steps,
            episode_returns=record.episode_returns,
            selected_step=record.selected_step,
            train_seconds=record.train_seconds,
            dead=record.dead,
        )

    def location(self, key: AgentKey | EvaluationKey) -> str:
        """The folder of an item, for messages."""
        return self._artifacts.location(key.address())

    def has_evaluation(self, key: EvaluationKey) -> bool:
        """Whether the evaluation has been run."""
        return self._artifacts.has(key.address(), _EVALUATION)

    def evaluated(self, keys: Sequence[EvaluationKey]) -> list[bool]:
        """`has_evaluation` of each, many at a time where the store is remote."""
        return self._artifacts.each(self.has_evaluation, keys)

    def save_evaluation(
        self, key: EvaluationKey, returns: tuple[float, ...], seconds: float, cpu_seconds: float | None = None
    ) -> None:
        """Store the returns of an evaluation's episodes, in order, and forget an earlier failure.

        Returns that are not finite are kept: they are how the agent behaves.

        Raises:
            ProctorError: their number is not the key's.
        """
        if len(returns) != key.episodes:
            raise ProctorError(f"expected {key.episodes} episodes, got {len(returns)}")
        address = key.address()
        body = {
            "agent": key.agent.address(),
            "environment": plain(key.environment),
            "episodes": key.episodes,
            "seed": key.seed,
            "returns": [value if math.isfinite(value) else str(value) for value in map(float, returns)],
            "seconds": float(seconds),
            "cpu_seconds": cpu_seconds,
        }
        self._artifacts.put(address, _EVALUATION, _seal(body))
        self._artifacts.delete(address, _FAILURE)

    def load_evaluation(self, key: EvaluationKey) -> tuple[float, ...]:
        """Returns of the episodes, shape (episodes,).

        Raises:
            ProctorError: the evaluation has not been run.
            CorruptArtifactError: the file cannot be read back.
        """
        return tuple(float(value) for value in self._evaluation(key)["returns"])

    def evaluations(self, keys: Sequence[EvaluationKey]) -> list[tuple[float, ...] | None]:
        """`load_evaluation` of each, None for those not run; many at a time where the store is remote."""

        def returns(key: EvaluationKey) -> tuple[float, ...] | None:
            return self.load_evaluation(key) if self.has_evaluation(key) else None

        return self._artifacts.each(returns, keys)

    def mark(self) -> str:
        """See `ArtifactStore.mark`."""
        return self._artifacts.mark()

    def check_mark(self, mark: str) -> None:
        """See `ArtifactStore.check_mark`."""
        self._artifacts.check_mark(mark)

    def evaluation_seconds(self, key: EvaluationKey) -> float:
        """Wall time of the evaluation; raises as `load_evaluation`."""
        return float(self._evaluation(key)["seconds"])

    def evaluation_cpu_seconds(self, key: EvaluationKey) -> float | None:
        """CPU time of the evaluation; None if it was stored by 0.1.0. Raises as `load_evaluation`."""
        seconds = self._evaluation(key).get("cpu_seconds")
        return None if seconds is None else float(seconds)

    def done(self, address: str) -> bool:
        """Whether the item at this address, agent or evaluation, is in the store."""
        return any(self._artifacts.has(address, name) for name in (_RECORD, _EVALUATION))

    def save_failure(self, address: str, traceback: str) -> None:
        """Note that the item at this address failed; a later success removes the note."""
        self._artifacts.put(address, _FAILURE, _seal({"traceback": traceback, "versions": plain(_versions())}))

    def failure(self, address: str) -> str | None:
        """The traceback of the item's last failure, or None.

        Raises:
            CorruptArtifactError: the note cannot be read back.
        """
        if not self._artifacts.has(address, _FAILURE):
            return None
        return str(self._open(address, _FAILURE, "failure", "tries the item again")["traceback"])

    def _evaluation(self, key: EvaluationKey) -> dict[str, Any]:
        address = key.address()
        what = f"evaluation in {key.environment.label()} of the agent with seed {key.agent.seed}"
        body = self._open(address, _EVALUATION, what, "evaluates it again")
        if body.get("agent") != key.agent.address() or len(body["returns"]) != key.episodes:
            raise self._corrupt(address, _EVALUATION, "is another evaluation's", "evaluates it again")
        return body

    def _open(self, address: str, name: str, what: str, remedy: str) -> dict[str, Any]:
        try:
            data = self._artifacts.get(address, name)
        except FileNotFoundError as error:
            raise ProctorError(f"not in the store: {what} ({address[:12]})") from error
        try:
            envelope = json.loads(data)
            body: dict[str, Any] = envelope["body"]
            intact = envelope["sha256"] == _digest(body)
        except (ValueError, KeyError, TypeError) as error:
            raise self._corrupt(address, name, "is cut short or not JSON", remedy) from error
        if not intact:
            raise self._corrupt(address, name, "is damaged (its SHA-256 is not the recorded one)", remedy)
        return body

    def _corrupt(self, address: str, name: str, problem: str, remedy: str) -> CorruptArtifactError:
        folder = self._artifacts.location(address)
        return CorruptArtifactError(
            f"{name} {problem}", "", f"an undamaged file; delete this folder and `run` {remedy}", f"{folder}/{name}"
        )


def _record(key: AgentKey, agent: TrainedAgent) -> AgentRecord:
    return AgentRecord(
        recipe=key.recipe,
        seed=key.seed,
        engine=key.engine,
        selection=key.selection,
        checkpoint_sha256=hashlib.sha256(agent.checkpoint).hexdigest(),
        checkpoint_bytes=len(agent.checkpoint),
        weights_digest=agent.weights_digest,
        episode_steps=tuple(int(step) for step in agent.episode_steps),
        episode_returns=tuple(float(value) for value in agent.episode_returns),
        selected_step=int(agent.selected_step),
        train_seconds=float(agent.train_seconds),
        versions=_versions(),
        dead=agent.dead,
        cpu_seconds=agent.cpu_seconds,
    )


def _checkpoint_name(record: AgentRecord) -> str:
    """Two workers that train one agent at once write two files: zip files carry dates, so their bytes differ."""
    return f"model-{record.checkpoint_sha256[:16]}.zip"


def _seal(body: Any) -> bytes:
    return json.dumps({"format": 1, "sha256": _digest(body), "body": plain(body)}, allow_nan=False).encode()


def _digest(body: Any) -> str:
    return hashlib.sha256(canonical_json(body).encode()).hexdigest()


def _until_not_finite(agent: TrainedAgent) -> TrainedAgent:
    kept = next((i for i, value in enumerate(agent.episode_returns) if not math.isfinite(value)), None)
    return replace(agent, episode_steps=agent.episode_steps[:kept], episode_returns=agent.episode_returns[:kept])


def _check_finite(values: Iterable[float], what: str) -> None:
    wrong = [position for position, value in enumerate(values) if not math.isfinite(value)]
    if wrong:
        raise ProctorError(f"{what} are not finite from episode {wrong[0]} on")


@functools.cache
def _record_adapter() -> TypeAdapter[AgentRecord]:
    return TypeAdapter(AgentRecord)


@functools.cache
def _versions() -> tuple[tuple[str, str], ...]:
    versions = []
    for package in _PACKAGES:
        try:
            versions.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:  # run from a working directory that was never installed
            versions.append((package, "not installed"))
    return (*versions, ("python", platform.python_version()), ("machine", platform.machine()))
