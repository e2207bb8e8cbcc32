"""What a service has acknowledged, and the check that all of it is there, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Get = Callable[[str], Any]
Post = Callable[[str], Any]


@dataclass
class Ledger:
    """Acknowledged calls of one agent.

    Attributes:
        results: episode -> test -> verdict.
        rewards: episode -> the first answer.
    """

    agent: str
    results: dict[str, dict[str, str]] = field(default_factory=dict)
    rewards: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def reported(self, episode: str, verdicts: Mapping[str, str]) -> None:
        """Results were acknowledged."""
        self.results.setdefault(episode, {}).update(verdicts)

    def rewarded(self, episode: str, answer: Mapping[str, Any]) -> None:
        """A reward was acknowledged."""
        self.rewards.setdefault(episode, {**answer, "repeated": False})

    @property
    def acknowledged(self) -> int:
        """Calls that may not be lost."""
        return len(self.results) + len(self.rewards)

    def complaints(self, get: Get, post: Post, newest: int | None = None) -> list[str]:
        """What is lost or appears twice; empty: nothing.

        Args:
            get, post: answers of the service, by path below the agent's.
            newest: look into only so many episodes; the rewards' listing is always looked through.
        """
        rows = _pages(get, "/metrics", "rows")
        complaints = [f"{self.agent}: {text}" for text in self._rewards_complaints(rows, int(get("")["version"]))]
        for episode in list(self.results)[-(newest or len(self.results)) :]:
            complaints += self._results_complaints(episode, get(f"/episodes/{episode}")["results"])
        for episode in list(self.rewards)[-(newest or len(self.rewards)) :]:
            again = post(f"/episodes/{episode}/reward")
            if {**again, "repeated": False} != self.rewards[episode] or not again["repeated"]:
                complaints.append(f"{self.agent}: reward of {episode} was given a second time, or has changed")
        if int(get("")["version"]) != len(rows):
            complaints.append(f"{self.agent}: repeated rewards made versions")
        return complaints

    def _rewards_complaints(self, rows: list[Any], version: int) -> list[str]:
        ids = [row["episode_id"] for row in rows]
        complaints = [f"reward of {episode} is lost" for episode in self.rewards.keys() - set(ids)]
        if len(set(ids)) != len(ids):
            complaints.append("an episode was rewarded twice")
        if [row["agent_version"] for row in rows] != list(range(1, len(rows) + 1)) or version != len(rows):
            complaints.append(f"{len(rows)} rewards do not make version {version}")
        return complaints

    def _results_complaints(self, episode: str, results: list[Any]) -> list[str]:
        kept = {result["id"]: result["verdict"] for result in results}
        complaints = []
        if len(kept) != len(results):
            complaints.append(f"{self.agent}: a result of {episode} appears twice")
        if not self.results[episode].items() <= kept.items():
            complaints.append(f"{self.agent}: a result of {episode} is lost")
        return complaints


def _pages(get: Get, path: str, name: str) -> list[Any]:
    rows: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = get(f"{path}?limit=500&cursor={cursor}")
        rows += page[name]
        cursor = page["next_cursor"]
    return rows
