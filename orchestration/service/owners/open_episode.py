"""An episode in its owner's memory: what was recommended, the results so far, and the reward's answer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress

from agents.scheduling.columns import ids_of, ranking_columns
from agents.scheduling.episode import Episode
from agents.scheduling.episode_codec import episode_from_bytes
from agents.scheduling.testcase import TestResult
from orchestration.service.api.columns import ranked_candidates
from orchestration.service.api.recommendations import RankedCandidate, RecommendationAnswer, RewardAnswer, RewardedTest
from orchestration.service.errors import ConflictError, InvalidRequestError, NotFoundError
from orchestration.service.store.codec import metrics_of, results_of, rewards_of
from orchestration.service.store.roles import AgentHistory
from orchestration.service.store.rows import EpisodeRow, EventKind, RewardRow
from orchestration.service.stored_answers import observers_of

Rewards = Sequence[float | None]


@dataclass(slots=True)
class OpenEpisode:
    """One episode.

    Attributes:
        row: as stored, without its payload.
        results: so far, by test id, in the order in which they arrived.
        reward: None until it is rewarded.
    """

    row: EpisodeRow
    episode: Episode
    results: dict[str, TestResult] = field(default_factory=dict)
    reward: RewardAnswer | None = None

    def new_among(self, reported: Sequence[TestResult]) -> list[TestResult]:
        """The results that are not known yet. Changes nothing.

        Raises:
            InvalidRequestError: a result is of a test that is not in the episode.
            ConflictError: another verdict is known for a test, or the episode is rewarded and a result is new.
        """
        ids = set(ids_of(self.episode.tests))
        new: dict[str, TestResult] = {}
        for index, result in enumerate(reported):
            if result.id not in ids:
                detail = f"{result.id!r} is not in episode {self.row.id!r}; expected a test of the episode"
                raise InvalidRequestError(detail, f"results[{index}].id")
            before = self.results.get(result.id) or new.get(result.id)
            if before is None:
                new[result.id] = result
            elif before.verdict != result.verdict:
                detail = f"{result.id!r} already has the verdict {before.verdict.value}, not {result.verdict.value}"
                raise ConflictError(detail, f"results[{index}].verdict")
        if new and self.reward is not None:
            first = next(iter(new))
            raise ConflictError(
                f"episode {self.row.id!r} is already rewarded; the result of {first!r} is too late", "results"
            )
        return list(new.values())

    def recommendation(self) -> RecommendationAnswer:
        """The answer to the call that opened it."""
        row = self.row
        return RecommendationAnswer(
            row.id, row.version, row.opened_at, row.exploration, observers_of(row), self.ranking()
        )

    def ranking(self) -> list[RankedCandidate]:
        """The recommendation."""
        return ranked_candidates(ranking_columns(self.episode.ranking))

    def missing(self) -> int:
        """Selected tests without a result."""
        ranking = ranking_columns(self.episode.ranking)
        return sum([name not in self.results for name in compress(ranking.ids, ranking.selected)])

    def reward_answer(self, row: RewardRow, rewards: Rewards | None = None) -> RewardAnswer:
        """The answer to a reward call, from what was stored of it; `rewards`: as they are read there."""
        values = rewards_of(row.payload) if rewards is None else rewards
        return RewardAnswer(
            episode_id=row.episode_id,
            agent_version=row.version,
            total=row.total,
            rewarded_at=row.rewarded_at,
            repeated=False,
            metrics=metrics_of(row.metrics),
            rewards=list(map(RewardedTest, ranking_columns(self.episode.ranking).ids, values)),
        )


def load_episode(store: AgentHistory, agent_id: int, episode_id: str, until: int | None = None) -> OpenEpisode:
    """An episode from the store.

    Args:
        until: results and reward up to this event only; None: all.

    Raises:
        NotFoundError: there is none.
        CorruptArtifactError: what is stored cannot be read.
    """
    row = store.episode(agent_id, episode_id)
    if row is None:
        raise NotFoundError(f"there is no episode {episode_id!r} of this agent")
    opened = OpenEpisode(without_payload(row), episode_from_bytes(row.payload, f"episode {episode_id}"))
    for event in store.events_of(agent_id, episode_id):
        if event.kind == EventKind.RESULTS and (until is None or event.seq <= until):
            opened.results.update((result.id, result) for result in results_of(event.payload))
    reward = store.reward(agent_id, episode_id)
    if reward is not None and (until is None or reward.seq <= until):
        opened.reward = opened.reward_answer(reward)
    return opened


class EpisodeCache:
    """The episodes used last, up to a number of tests in all.

    An episode counts for `EPISODE_TESTS` tests more than it has: that is what it weighs without any.

    Attributes:
        TEST_BYTES: about what a test occupies, besides its id.
    """

    EPISODE_TESTS = 50
    TEST_BYTES = 500

    def __init__(self, capacity_tests: int) -> None:
        self._capacity = capacity_tests
        self._tests = self._characters = 0
        self._kept: OrderedDict[str, OpenEpisode] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """About the bytes that the episodes occupy."""
        return self._characters + self._tests * self.TEST_BYTES

    def get(self, episode_id: str) -> OpenEpisode | None:
        """The episode, if it is kept."""
        opened = self._kept.get(episode_id)
        if opened is not None:
            self._kept.move_to_end(episode_id)
        return opened

    def put(self, opened: OpenEpisode) -> OpenEpisode:
        """Keep it; the least recently used ones make room. The newest stays, however large it is."""
        self._kept[opened.row.id] = opened
        self._tests += opened.row.tests + self.EPISODE_TESTS
        self._characters += _id_characters(opened)
        while self._tests > self._capacity and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._tests -= dropped.row.tests + self.EPISODE_TESTS
            self._characters -= _id_characters(dropped)
        return opened


def _id_characters(opened: OpenEpisode) -> int:
    return sum(map(len, ids_of(opened.episode.tests)))


def without_payload(row: EpisodeRow) -> EpisodeRow:
    """The row as a listing gives it; the coded episode is as large as the episode itself."""
    return EpisodeRow(
        row.agent_id,
        row.id,
        row.number,
        row.job,
        row.version,
        row.opened_at,
        row.tests,
        row.selected,
        row.exploration,
        row.observers,
        row.observed_agent,
        row.request_digest,
        b"",
    )
