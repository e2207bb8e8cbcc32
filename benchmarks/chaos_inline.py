"""Faults of store, files and clock, injected below one owner in this process: hundreds of them in a second.

A store that answers errors before or after it has written, or hangs; snapshots that cannot be written, are cut short or
vanish; a clock that steps by up to a year either way; an owner that is gone from one call to the next.
"""

from __future__ import annotations

import errno
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np

from agents.scheduling.settings import AgentSettings
from envsearch.errors import CorruptArtifactError, StoreUnavailableError
from orchestration.runtime.artifacts import ArtifactStore
from orchestration.service.api.decoding import decode
from orchestration.service.api.recommendations import (
    RecommendationRequest,
    ResultsRequest,
    RewardAnswer,
)
from orchestration.service.errors import NotOwnerError, UnavailableError
from orchestration.service.owners import live_agent
from orchestration.service.owners.agent_owner import AgentOwner, OwnerSettings
from orchestration.service.owners.owner_call import OwnerAnswer, OwnerCall
from orchestration.service.owners.state_recovery import replay_log
from orchestration.service.store.codec import results_of, settings_text
from orchestration.service.store.roles import StateStore
from orchestration.service.store.sql import SqlStore
from orchestration.service.typed_calls import owner_call

AGENT = "chaos"
IDS = tuple(f"test_{number}" for number in range(6))
YEAR = 365 * 24 * 3600.0
_STORE_FAULTS = ("store refuses", "store answers an error after it has written", "store hangs")
_READS = frozenset({"url", "close"})


class FaultyStore:
    """A store whose calls go wrong with a probability.

    Attributes:
        calm: nothing goes wrong.
    """

    def __init__(self, store: StateStore, rng: np.random.Generator, faults: Counter[str], share: float) -> None:
        self._store, self._rng, self._faults, self._share = store, rng, faults, share
        self.calm = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if self.calm or name in _READS:
            return method

        def called(*arguments: Any, **options: Any) -> Any:
            if self.calm or self._rng.random() >= self._share:
                return method(*arguments, **options)
            fault = _STORE_FAULTS[int(self._rng.integers(len(_STORE_FAULTS)))]
            self._faults[fault] += 1
            if fault == "store refuses":
                raise UnavailableError("the store cannot be used now (injected)")
            if fault == "store hangs":
                time.sleep(0.002)
            answer = method(*arguments, **options)
            if fault == "store answers an error after it has written":
                raise UnavailableError("the store cannot be used now (injected)")
            return answer

        return called


class FaultyFiles(ArtifactStore):
    """Files that cannot be written, or are cut short or gone after they were."""

    def __init__(self, url: str, rng: np.random.Generator, faults: Counter[str], share: float) -> None:
        super().__init__(url)
        self._rng, self._faults, self._share = rng, faults, share

    def put(self, address: str, name: str, data: bytes) -> None:
        """See `ArtifactStore.put`."""
        if self._rng.random() >= self._share:
            super().put(address, name, data)
            return
        fault = ("disk full", "disk read-only", "snapshot cut short", "snapshot gone")[int(self._rng.integers(4))]
        self._faults[fault] += 1
        if fault.startswith("disk"):
            code = errno.ENOSPC if fault == "disk full" else errno.EROFS
            raise StoreUnavailableError(f"cannot write ({errno.errorcode[code]})", "", "free space", self.url)
        super().put(address, name, data)
        path = Path(self.location(address, name))
        path.unlink() if fault == "snapshot gone" else path.write_bytes(data[: int(self._rng.integers(len(data)))])


class SteppingClock:
    """Wall-clock time that jumps."""

    def __init__(self, rng: np.random.Generator, faults: Counter[str], share: float) -> None:
        self._rng, self._faults, self._share = rng, faults, share
        self._offset = 0.0

    def __call__(self) -> float:
        if self._rng.random() < self._share:
            self._offset = float(self._rng.uniform(-YEAR, YEAR))
            self._faults["clock step"] += 1
        return time.time() + self._offset


@dataclass
class Acknowledged:
    """What was acknowledged."""

    results: dict[str, dict[str, str]]
    rewards: dict[str, RewardAnswer]


class Round:
    """One agent, driven through faults.

    Args:
        folder: of its store.
        share: of all calls of the store, files and clock that go wrong.
    """

    def __init__(self, folder: Path, rng: np.random.Generator, share: float = 0.1, kind: str = "bandit") -> None:
        self.faults: Counter[str] = Counter()
        self.acknowledged = Acknowledged({}, {})
        self._rng = rng
        self.settings = OwnerSettings(str(folder / "service.db"), str(folder / "states"), snapshot_every=5)
        self.real = SqlStore(self.settings.store_url)
        self.real.create_agent(AGENT, settings_text(AgentSettings(kind)), "", time.time())
        self.store = FaultyStore(self.real, rng, self.faults, share)
        self.files = FaultyFiles(self.settings.artifact_url, rng, self.faults, 3 * share)
        self.clock = SteppingClock(rng, self.faults, share)
        self.owner = self._owner()

    def _owner(self) -> AgentOwner:
        store: Any = self.store
        return AgentOwner(self.settings, store, self.files)

    def run(self, episodes: int) -> list[str]:
        """Episodes, some of them in flight at once; returns the complaints about their outcome."""
        clock = SimpleNamespace(**{name: getattr(time, name) for name in ("monotonic", "perf_counter", "sleep")})
        clock.time = self.clock
        with patch.object(live_agent, "time", clock):
            opened: list[str] = []
            for number in range(episodes):
                opened.append(self._open(f"e{number}"))
                while opened and (len(opened) > 3 or self._rng.random() < 0.6):
                    self._finish(opened.pop(int(self._rng.integers(len(opened)))))
        self.store.calm = True
        return self.complaints()

    def _call(self, call: OwnerCall) -> bytes:
        """The answer's body, after as many tries as it takes."""
        for _ in range(1000):
            if self._rng.random() < 0.03:
                self.faults["owner gone"] += 1
                self.owner = self._owner()
            if self._rng.random() < 0.02:
                self.faults["owner replaced behind its back"] += 1
                self.real.take_over(AGENT)
            (answer,) = self.owner.execute([call])
            if isinstance(answer, OwnerAnswer):
                return answer.body
            assert isinstance(answer, NotOwnerError | UnavailableError), answer
            call = replace(call, again=True)
        raise AssertionError("never answered")

    def _open(self, episode: str) -> str:
        self._call(owner_call(AGENT, "recommend", RecommendationRequest.of(IDS), episode_id=episode))
        return episode

    def _finish(self, episode: str) -> None:
        verdicts = {name: "failed" if self._rng.random() < 0.2 else "passed" for name in IDS}
        for part in (IDS[:4], IDS[4:]):
            results = ResultsRequest.of(part, [verdicts[name] for name in part], [1.0] * len(part))
            self._call(owner_call(AGENT, "results", results, episode_id=episode))
            self.acknowledged.results.setdefault(episode, {}).update({name: verdicts[name] for name in part})
        self.acknowledged.rewards[episode] = self._reward(episode)

    def _reward(self, episode: str) -> RewardAnswer:
        return decode(RewardAnswer, self._call(owner_call(AGENT, "reward", episode_id=episode)))

    # -- what must hold ---------------------------------------------------------------------------------------------

    def complaints(self) -> list[str]:
        """Lost, doubled, or another state than the log's."""
        complaints = []
        row = self.real.agent(AGENT)
        assert row is not None
        rewarded = [event.subject for event in self.real.versions(row.id, None, 10**6)]
        if sorted(rewarded) != sorted(self.acknowledged.rewards) or row.version != len(rewarded):
            complaints.append(
                f"{len(self.acknowledged.rewards)} rewards were acknowledged, {len(rewarded)} are in the log"
            )
        for episode, verdicts in self.acknowledged.results.items():
            complaints += self._results_complaints(row.id, episode, verdicts)
        for episode, first in self.acknowledged.rewards.items():
            if self._reward(episode) != msgspec.structs.replace(first, repeated=True):
                complaints.append(f"the reward of {episode} has changed")
        return complaints + self._state_complaints()

    def _results_complaints(self, agent: int, episode: str, verdicts: dict[str, str]) -> list[str]:
        events = [event for event in self.real.events_of(agent, episode) if event.kind == "results"]
        results = [result for event in events for result in results_of(event.payload)]
        kept = {result.id: result.verdict.value for result in results}
        if len(kept) != len(results):
            return [f"a result of {episode} appears twice in the log"]
        return [] if kept == verdicts else [f"results of {episode} are not those that were acknowledged"]

    def _state_complaints(self) -> list[str]:
        """The owner's memory, a new owner's (from snapshots) and the log from its beginning are the same bits."""
        self.owner.execute([owner_call(AGENT, "reward", episode_id=next(iter(self.acknowledged.rewards)))])
        try:
            replayed = replay_log(self.real, AGENT).state()
        except CorruptArtifactError as error:
            return [f"the log is damaged: {error}"]
        fresh = self._owner()
        fresh.execute([owner_call(AGENT, "reward", episode_id=next(iter(self.acknowledged.rewards)))])
        owners = {"the owner that lived": self.owner, "a new owner": fresh}
        return [
            f"{name} has another state than the log"
            for name, owner in owners.items()
            if not _same(owner._live[AGENT].scheduler.state(), replayed)
        ]


def _same(first: Any, second: Any) -> bool:
    return first.keys() == second.keys() and all(
        np.asarray(first[name]).tobytes() == np.asarray(second[name]).tobytes() for name in first
    )


def inline_rounds(
    folder: Path, rng: np.random.Generator, rounds: int, episodes: int, note: Callable[[str], None]
) -> tuple[Counter[str], int, list[str]]:
    """Faults by kind, acknowledged calls, and complaints of many rounds."""
    faults: Counter[str] = Counter()
    acknowledged, complaints = 0, []
    for number in range(rounds):
        this_round = Round(folder / f"inline-{number}", rng)
        round_complaints = this_round.run(episodes)
        this_round.real.close()
        faults += this_round.faults
        acknowledged += sum(map(len, this_round.acknowledged.results.values())) + len(this_round.acknowledged.rewards)
        complaints += [f"round {number}: {text}" for text in round_complaints]
        note(f"inline {number + 1}/{rounds}: {this_round.faults.total()} faults, {len(round_complaints)} complaints")
    return faults, acknowledged, complaints
