"""Sanity before verdicts: healthy agents are good enough, and every mutant really differs from them."""

from __future__ import annotations

from collections.abc import Mapping

from orchestration.campaign.evaluate import Rewards
from orchestration.campaign.spec.campaign import ResolvedCampaign
from orchestration.execution.results import AgentRecord


def objection(campaign: ResolvedCampaign, healthy: Rewards) -> str | None:
    """Why the healthy population is no yardstick, and what to change; None if it is one."""
    threshold = campaign.sanity.threshold
    if not healthy:
        return "No healthy agent could be trained and evaluated."
    mean = sum(healthy.values()) / len(healthy)
    if threshold is None or mean >= threshold:
        return None
    return (
        f"Healthy population too weak: mean reward {mean:.1f} of {len(healthy)} agents, threshold {threshold:g}. "
        f"Train longer (steps: {campaign.healthy.total_steps}), change hyperparameters, judge the best checkpoint "
        "(agent.select: best), or set sanity.threshold (sanity.on_failure: warn goes on in spite of it)."
    )


def identical_seeds(healthy: Mapping[int, AgentRecord], mutant: Mapping[int, AgentRecord]) -> tuple[int, ...]:
    """Seeds whose mutant agent has, bit for bit, the weights of the healthy one."""
    return tuple(
        seed
        for seed, record in mutant.items()
        if seed in healthy and healthy[seed].weights_digest == record.weights_digest
    )


def is_live(healthy: Mapping[int, AgentRecord], mutant: Mapping[int, AgentRecord]) -> bool:
    """Whether at least one agent differs from the healthy agent of the same seed (or nothing could be compared)."""
    compared = [seed for seed in mutant if seed in healthy]
    return not compared or len(identical_seeds(healthy, mutant)) < len(compared)
