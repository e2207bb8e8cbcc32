"""TrainingRecipe: how an agent is trained, as data.

A recipe names every site where a fault can sit, in engine-neutral terms. The healthy agent is the recipe in which
every site holds its healthy value; a mutation operator is a function from recipe to recipe; an engine reads the
fields and never asks whether the recipe is a mutant.

Faults that strike at random carry a probability per *event*: a step for the sites of experience, terminal flag and
state, a learner update (one rollout on-policy, one sampled batch off-policy) for returns and loss. Probability 0 is
the healthy site, bit for bit; draws come from the recipe's own generator, so that they disturb no other randomness.

Operators: those of Tambon et al., "Mutation Testing
of Deep Reinforcement Learning Based on Real Faults", ICST 2023, section IV.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from envsearch.canonical import content_address, plain
from envsearch.errors import CorruptArtifactError, InputError
from envsearch.spec import EnvironmentSpec

Scalar = str | bool | int | float | None
Replacement = Literal["none", "repeat", "random", "mangled"]


def _probability(value: float, site: str) -> None:
    if not 0.0 <= value <= 1.0:
        raise InputError(f"{value!r} is out of range", site, "a probability in [0, 1]")


@dataclass(frozen=True, slots=True)
class ExperienceSite:
    """What the learner is shown of each step instead of the true observation and reward (R, Ra, M, RN).

    Attributes:
        replacement: which true transition replaces the current one when the fault strikes.
            ``repeat``: the previous one (``frozen``: what was shown last, a stuck sensor, instead of a delay);
            ``random``: one drawn uniformly from the memory, the current one included;
            ``mangled``: observation and reward drawn independently from ``mangle_pool`` transitions that are drawn
            without replacement from the memory.
        probability: per step, that ``replacement`` strikes.
        memory: number of true transitions kept, the current one included.
        mangle_pool: number of transitions that ``mangled`` mixes.
        frozen: see ``repeat``.
        across_episodes: keep the memory when an episode ends instead of clearing it.
        noise_probability: per step, that Gaussian noise is added to the (possibly replaced) reward.
        noise_scale: standard deviation of that noise as a share of the reward's absolute value.
        log_mutated_reward: log the reward the learner saw (published code) instead of the true one.
    """

    replacement: Replacement = "none"
    probability: float = 0.0
    memory: int = 1000
    mangle_pool: int = 10
    frozen: bool = False
    across_episodes: bool = False
    noise_probability: float = 0.0
    noise_scale: float = 0.1
    log_mutated_reward: bool = False

    def __post_init__(self) -> None:
        _probability(self.probability, "experience.probability")
        _probability(self.noise_probability, "experience.noise_probability")


@dataclass(frozen=True, slots=True)
class TerminalSite:
    """What the learner sees of the end of an episode (MTS).

    Attributes:
        missed: per step, probability that a terminal flag is lost: the transition is stored as not terminal. On-policy
            the learner does not notice the end at all, so a time limit adds no bootstrap of its own: the only one is
            that of the recursion, which goes on into the next episode.
        time_limit_is_terminal: skip the bootstrap at time limits, so that a time-out looks terminal
            (what the published code does on-policy under the name MTS).
    """

    missed: float = 0.0
    time_limit_is_terminal: bool = False

    def __post_init__(self) -> None:
        _probability(self.missed, "terminal.missed")


@dataclass(frozen=True, slots=True)
class StateSite:
    """The update of the state after a step (MSU).

    Attributes:
        missed_update: per step, probability that ``state <- next state`` is lost. On-policy the learner goes on
            acting on, and storing, the old state (with probability 1: the very first one, for the whole training);
            off-policy the transition is stored with its own state as next state, acting stays on the true one.
    """

    missed_update: float = 0.0

    def __post_init__(self) -> None:
        _probability(self.missed_update, "state.missed_update")


@dataclass(frozen=True, slots=True)
class ReturnsSite:
    """How returns (on-policy) and targets (off-policy) are computed (NDF, NR).

    With delta_t = r_t + g V_{t+1} nt_{t+1} - V_t and nt = "the next step is not terminal":
    reversed (healthy): A_t = delta_t + g lambda nt_{t+1} A_{t+1};
    forward (NR): A_t = delta_t + g lambda nt_{t+1} A_{t-1}, with A_{-1} = 0;
    undiscounted (NDF): g = 1, off-policy target = r + (1 - d) max Q.

    Attributes:
        undiscounted: per learner update, probability that the discount is left out.
        forward: per learner update, probability that the recursion runs forward (on-policy only).
        gamma, gae_lambda: values that replace the agent's own *in every learner update* (None: the agent's own);
            only the published variants of NR and NDF set them.
    """

    undiscounted: float = 0.0
    forward: float = 0.0
    gamma: float | None = None
    gae_lambda: float | None = None

    def __post_init__(self) -> None:
        _probability(self.undiscounted, "returns.undiscounted")
        _probability(self.forward, "returns.forward")


@dataclass(frozen=True, slots=True)
class LossSite:
    """The sign of the loss (ILF).

    Attributes:
        inverted: per learner update, probability that the sign is wrong. On-policy that of the policy loss (PPO:
            +mean(min(A ratio, A clip(ratio))), A2C: +mean(A log pi)); entropy and value terms keep theirs.
            Off-policy that of the bootstrap: target = r - (1 - d) gamma max Q.
    """

    inverted: float = 0.0

    def __post_init__(self) -> None:
        _probability(self.inverted, "loss.inverted")


@dataclass(frozen=True, slots=True)
class PolicySite:
    """The network and its optimizer (PAC, POC), always explicit: an engine fills in no default of its own.

    Attributes:
        activation: hidden activation of actor and critic, by its torch.nn class name.
        optimizer: torch.optim class name; the learning rate is the algorithm's.
        optimizer_kwargs: further keyword arguments, as sorted pairs.
        net_arch: units per hidden layer (of actor and of critic where there are two).
    """

    activation: str
    optimizer: str
    optimizer_kwargs: tuple[tuple[str, float], ...] = ()
    net_arch: tuple[int, ...] = (64, 64)


@dataclass(frozen=True)
class TrainingRecipe:
    """How one population of agents is trained. Immutable plain data; equal recipes train equal agents.

    Attributes:
        environment: what the agents are trained in.
        algorithm: ``ppo``, ``a2c``, ``dqn`` or the import path of a Stable-Baselines3 algorithm class.
        hyperparameters: the algorithm's constructor arguments as sorted pairs, policy network and optimizer
            excluded (see ``policy``). ``learning_rate`` may be ``lin_<initial>`` (linear to 0), as in RL Zoo.
        total_steps: environment steps to train for.
    """

    environment: EnvironmentSpec
    algorithm: str
    hyperparameters: tuple[tuple[str, Scalar], ...]
    total_steps: int
    policy: PolicySite
    experience: ExperienceSite = field(default_factory=ExperienceSite)
    terminal: TerminalSite = field(default_factory=TerminalSite)
    state: StateSite = field(default_factory=StateSite)
    returns: ReturnsSite = field(default_factory=ReturnsSite)
    loss: LossSite = field(default_factory=LossSite)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hyperparameters", tuple(sorted(self.hyperparameters)))
        if isinstance(self.total_steps, bool) or self.total_steps < 1:
            raise InputError(f"{self.total_steps!r} is out of range", "steps", "a positive whole number")

    def hyperparameter(self, name: str, default: Scalar = None) -> Scalar:
        """One hyper-parameter's value."""
        return dict(self.hyperparameters).get(name, default)

    def replace(self, **changes: Any) -> TrainingRecipe:
        """A copy with some fields changed (``dataclasses.replace``)."""
        return dataclasses.replace(self, **changes)

    @cached_property
    def address(self) -> str:
        """Content address: SHA-256 over the canonical form, and over changes of meaning that concern it."""
        revisions = self._revisions()
        return content_address("recipe", [self, *revisions] if revisions else self)

    def _revisions(self) -> tuple[str, ...]:
        """Changes of meaning since 0.1.0 that concern this recipe: stored agents of the old meaning are not reused."""
        from agents.deeprl.algorithms import algorithm_facts  # that module needs this one

        if self.terminal.missed > 0.0 and algorithm_facts(self.algorithm).family == "on_policy":
            return ("terminal.missed: without the bootstrap at a time limit",)
        return ()

    def to_plain(self) -> dict[str, Any]:
        """Nested dicts, lists and scalars, ready for JSON."""
        result: dict[str, Any] = plain(self)
        return result

    @staticmethod
    def from_plain(value: Mapping[str, Any]) -> TrainingRecipe:
        """The inverse of `to_plain`.

        Raises:
            CorruptArtifactError: the mapping is not a recipe.
        """
        try:
            return _ADAPTER.validate_python(dict(value))
        except ValidationError as error:
            first = error.errors()[0]
            raise CorruptArtifactError(
                first["msg"], ".".join(str(part) for part in first["loc"]), "a recipe"
            ) from error


_ADAPTER = TypeAdapter(TrainingRecipe)
