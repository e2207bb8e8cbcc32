"""Sanity before verdicts: healthy agents are good enough, every mutant differs from them and from the other mutants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestration.campaign.population import Population, Rewards, living
from orchestration.campaign.result import MutantVerdict
from orchestration.campaign.spec.campaign import ResolvedCampaign
from orchestration.execution.results import AgentRecord


def objection(campaign: ResolvedCampaign, healthy: Rewards) -> str | None:
    """Why the healthy population cannot serve as a yardstick, and what to change; None if it can."""
    threshold = campaign.sanity.threshold
    if not healthy:
        return "No healthy agent could be trained and evaluated."
    alive = living(healthy)
    if not alive:
        return "Every healthy agent is dead: its weights or its rewards are not finite. Change hyperparameters."
    mean = sum(alive.values()) / len(alive)
    if threshold is None or mean >= threshold:
        return None
    return (
        f"Healthy population too weak: mean reward {mean:.1f} of {len(alive)} agents, threshold {threshold:g}. "
        f"Train longer (steps: {campaign.healthy.total_steps}), change hyperparameters, judge the best checkpoint "
        "(agent.select: best), or set sanity.threshold (sanity.on_failure: warn continues despite this)."
    )


def live_mutants(healthy: Population, mutants: Sequence[Population]) -> tuple[list[Population], list[str]]:
    """The mutants that differ from the healthy agents of the same seeds, and a note on each that does not."""
    records, live, notes = healthy.records(), [], []
    for mutant in mutants:
        if is_live(records, mutant.records()):
            live.append(mutant)
        else:
            notes.append(
                f"{mutant.id} is not live: all its agents equal the healthy agents of the same seeds bit for bit; "
                "it gets no verdict and does not count in the score."
            )
    return live, notes


def distinct_mutants(
    mutants: Sequence[Population], known: Sequence[Population] = ()
) -> tuple[list[Population], dict[str, str], list[str]]:
    """The mutants without those whose agents are another mutant's, bit for bit.

    Two mutants are the same if they have the same seeds, with the same weights for each of them, and at least one
    living agent: weights that are not finite may be equal by accident. Example: M and Ra on the fleet engine,
    where every reward is 1.

    Args:
        mutants: live ones.
        known: live mutants that are counted already.

    Returns:
        Those to count (of equal ones the first), {id of one left out: id of the one that counts}, and notes.
    """
    first = {weights: mutant for mutant in known if (weights := _weights(mutant)) is not None}
    counted: list[Population] = []
    equal: dict[str, list[str]] = {}
    for mutant in mutants:
        weights = _weights(mutant)
        same = mutant if weights is None else first.setdefault(weights, mutant)
        if same is mutant:
            counted.append(mutant)
        else:
            equal.setdefault(same.id, []).append(mutant.id)
    merged = {name: same for same, names in equal.items() for name in names}
    return counted, merged, [_same_agents(same, names) for same, names in equal.items()]


def counted_mutants(
    healthy: Population, mutants: Sequence[Population], known: Sequence[Population] = ()
) -> tuple[list[Population], dict[str, str], list[str]]:
    """The mutants that are judged: live ones, each set of equal agents once. As `distinct_mutants`, with all notes."""
    live, notes = live_mutants(healthy, mutants)
    counted, same_agents, merged = distinct_mutants(live, known)
    return counted, same_agents, [*notes, *merged]


def _weights(mutant: Population) -> frozenset[tuple[int, str]] | None:
    """(seed, digest of the weights) of every agent; None if none of them is alive."""
    records = mutant.records()
    if all(record.dead for record in records.values()):
        return None
    return frozenset((seed, record.weights_digest) for seed, record in records.items())


def with_same_agents(verdicts: Sequence[MutantVerdict], same_agents: Mapping[str, str]) -> list[MutantVerdict]:
    """The verdicts, and those of the counted mutants once more for the mutants with the same agents."""
    pairs = same_agents.items()
    copies = [replace(entry, mutant=name) for name, same in pairs for entry in verdicts if entry.mutant == same]
    return [*verdicts, *copies]


def _same_agents(counted: str, others: Sequence[str]) -> str:
    *names, last = (counted, *others)
    return f"{', '.join(names)} and {last} are the same agents bit for bit; counted once as {counted}."


def is_live(healthy: Mapping[int, AgentRecord], mutant: Mapping[int, AgentRecord]) -> bool:
    """Whether at least one agent differs from the healthy agent of the same seed (or nothing could be compared)."""
    compared = [seed for seed in mutant if seed in healthy]
    return not compared or len(identical_seeds(healthy, mutant)) < len(compared)


def identical_seeds(healthy: Mapping[int, AgentRecord], mutant: Mapping[int, AgentRecord]) -> tuple[int, ...]:
    """Seeds whose mutant agent has, bit for bit, the weights of the healthy agent."""
    return tuple(
        seed
        for seed, record in mutant.items()
        if seed in healthy and healthy[seed].weights_digest == record.weights_digest
    )
