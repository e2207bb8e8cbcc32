"""Every call of the scheduling service and its answer, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from agents.scheduling.episode import Budget
from agents.scheduling.settings import AgentSettings
from orchestration.service.owners.call_statistics import OwnerStatistics
from orchestration.service.owners.columns import Candidates as Candidates
from orchestration.service.owners.columns import PastRun as PastRun
from orchestration.service.owners.columns import Ranking as Ranking
from orchestration.service.owners.columns import Results as Results

Numbers = tuple[tuple[str, float], ...]
"""(name, value) pairs."""


# -- agents ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateAgent:
    """``POST /agents``. The same call again answers the same; another one under a taken name is a conflict."""

    name: str
    settings: AgentSettings
    description: str = ""


@dataclass(frozen=True, slots=True)
class PatchAgent:
    """``PATCH /agents/{agent}``: what may change. None leaves it as it is.

    Kind, hyper-parameters, history length and seed are what the learned state was made with, and do not change.
    """

    description: str | None = None
    reward: str | None = None
    exploration: str | None = None
    exploration_settings: tuple[tuple[str, object], ...] | None = None
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class AgentInfo:
    """An agent as the service knows it.

    Attributes:
        version: made by every reward and every restore; 0 for a new agent.
        episodes: opened so far.
        created_at, updated_at: Unix time, seconds.
        created: False where `CreateAgent` found the same agent there already.
    """

    name: str
    settings: AgentSettings
    description: str
    version: int
    episodes: int
    created_at: float
    updated_at: float
    created: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class AgentsPage:
    """Agents by name; `next_cursor` is what asks for the next page, None on the last one."""

    agents: tuple[AgentInfo, ...]
    next_cursor: str | None


# -- recommend, results, reward -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecommendationRequest:
    """``POST /agents/{agent}/recommendations``.

    Attributes:
        time_budget_seconds: None: the agent's default budget.
        must_run: ids that are always selected, besides those of the default budget.
        observe: agents that rank the same tests and learn from the same results, and are not asked what to run.
        idempotency_key: a retry with the same key gets the same episode; "": every call opens a new one.
    """

    candidates: Candidates
    job: str = ""
    time_budget_seconds: float | None = None
    must_run: tuple[str, ...] = ()
    observe: tuple[str, ...] = ()
    idempotency_key: str = ""


@dataclass(frozen=True, slots=True)
class RecommendationAnswer:
    """Which order to run the tests in, and the episode to report results for.

    Attributes:
        exploration: share of chance in this order, in [0, 1].
        opened_at: Unix time, seconds.
        observers: the agents that observe.
    """

    episode_id: str
    agent_version: int
    ranking: Ranking
    exploration: float
    opened_at: float
    observers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResultsRequest:
    """``POST /agents/{agent}/episodes/{episode}/results``: in parts or at once; the same result again is fine."""

    episode_id: str
    results: Results


@dataclass(frozen=True, slots=True)
class ResultsAnswer:
    """What was taken in.

    Attributes:
        recorded: results that were new.
        repeated: results that were known already.
        missing: selected tests that no result has arrived of yet.
        observers: agents that observe the episode, and get the same results.
    """

    episode_id: str
    recorded: int
    repeated: int
    missing: int
    observers: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class RewardRequest:
    """``POST /agents/{agent}/episodes/{episode}/reward``."""

    episode_id: str


@dataclass(frozen=True, slots=True)
class RewardAnswer:
    """What the episode brought; a repeated call gets the first answer.

    Attributes:
        agent_version: of the agent after it learned.
        total: sum of the rewards.
        ids, rewards: in the order of the recommendation, shape (n,); None: nothing was to be learned from that test.
        metrics: of the episode; a metric that is not defined (no failing test) is left out.
        rewarded_at: Unix time, seconds.
        repeated: the episode was rewarded before.
    """

    episode_id: str
    agent_version: int
    total: float
    ids: tuple[str, ...]
    rewards: tuple[float | None, ...]
    metrics: Numbers
    rewarded_at: float
    repeated: bool = field(default=False, compare=False)
    observers: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class NextRequest:
    """``POST /agents/{agent}/next``: what to run next, given what has run in this episode so far.

    Attributes:
        results: recorded first, as by `ResultsRequest`; may be empty.
    """

    episode_id: str
    results: Results = field(default_factory=lambda: Results((), ()))


@dataclass(frozen=True, slots=True)
class NextAnswer:
    """The next test to run.

    Attributes:
        test_id: None: nothing is left to run.
        position: in the recommendation, from 1; None where `test_id` is.
        remaining: selected tests without a result, this one included.
    """

    episode_id: str
    test_id: str | None
    position: int | None
    reasons: tuple[str, ...]
    remaining: int
    observers: tuple[str, ...] = field(default=(), compare=False)


# -- what was seen, chosen, rewarded --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EpisodeSummary:
    """One episode in a listing.

    Attributes:
        number: of the agent's episodes, from 0.
        tests, selected: counts.
        observed_agent: the agent whose recommendation was run, where this agent only observed; else "".
        rewarded_at, total, metrics: None and empty until it is rewarded.
    """

    episode_id: str
    number: int
    job: str
    agent_version: int
    opened_at: float
    tests: int
    selected: int
    exploration: float
    observers: tuple[str, ...]
    observed_agent: str
    rewarded_at: float | None
    total: float | None
    metrics: Numbers


@dataclass(frozen=True, slots=True)
class EpisodesPage:
    """Episodes, the newest first."""

    episodes: tuple[EpisodeSummary, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class EpisodeDetail:
    """Everything about one episode."""

    summary: EpisodeSummary
    ranking: Ranking
    results: Results
    reward: RewardAnswer | None


@dataclass(frozen=True, slots=True)
class MetricsRow:
    """One rewarded episode in the agent's curve."""

    episode_id: str
    number: int
    agent_version: int
    rewarded_at: float
    tests: int
    total: float
    exploration: float
    metrics: Numbers


@dataclass(frozen=True, slots=True)
class MetricsPage:
    """Rewarded episodes in the order in which they were rewarded."""

    rows: tuple[MetricsRow, ...]
    next_cursor: str | None


# -- insights -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InsightsRequest:
    """``GET /agents/{agent}/insights``."""


@dataclass(frozen=True, slots=True)
class StaleTest:
    """A test that has not run for long; cycles of its job since its last execution, -1: never run."""

    job: str
    id: str
    since_run: int


@dataclass(frozen=True, slots=True)
class FlakyTest:
    """A test whose verdict changes often: `flips` of `runs` kept executions differ from the one before."""

    job: str
    id: str
    flips: int
    runs: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """Tests of one job that fail together; `strength` in (0, 1] is the mean over their pairs of the share of cycles
    with a failure of either in which both failed."""

    job: str
    ids: tuple[str, ...]
    strength: float


@dataclass(frozen=True, slots=True)
class InsightsAnswer:
    """What the agent's history shows."""

    agent_version: int
    clusters: tuple[Cluster, ...]
    stale: tuple[StaleTest, ...]
    flaky: tuple[FlakyTest, ...]


# -- versions -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One version of an agent.

    Attributes:
        episode_id: whose reward made it; "" for version 0 and for a restore.
        restored_from: the version that was restored; None: made by a reward.
        made_at: Unix time, seconds.
    """

    version: int
    episode_id: str
    restored_from: int | None
    made_at: float


@dataclass(frozen=True, slots=True)
class VersionsPage:
    """Versions that can be restored, the newest first."""

    versions: tuple[VersionInfo, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """``POST /agents/{agent}/versions/{v}/restore``.

    Attributes:
        idempotency_key: a retry with the same key restores once; "": every call does.
    """

    version: int
    idempotency_key: str = ""


@dataclass(frozen=True, slots=True)
class RestoreAnswer:
    """The state of `restored` is the agent's state again, under the new number `agent_version`."""

    agent_version: int
    restored: int


@dataclass(frozen=True, slots=True)
class ServiceStatistics:
    """What operators watch.

    Attributes:
        agents: registered.
        owners: living, and answering, in the cluster.
        awake: agents in the memory of these.
        each: what they measured.
        waiting: calls of this process that wait or are under way, by agent.
        read_seconds: how long the store took to count the agents.
    """

    agents: int
    owners: int
    awake: int
    each: tuple[OwnerStatistics, ...]
    waiting: tuple[tuple[str, int], ...]
    read_seconds: float
